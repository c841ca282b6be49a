"""From arguments to files."""

import os
from pathlib import Path

import pytest

from surveyfit.errors import InputError
from surveyfit.sky.find import find_images, stem_of


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"SIMPLE  =                    T")


def names(*arguments) -> list[str]:
    return [found.name for found in find_images([str(a) for a in arguments])]


def test_folder_is_searched_deep_sorted_and_without_hidden_or_foreign_files(tmp_path):
    for name in ("b.FITS", "a.fit", "sub/c.fts", "sub/deep/d.fits.gz", "e.Fits.Fz", "f.fit.gz"):
        touch(tmp_path / name)
    for name in (".hidden.fits", ".git/x.fits", "notes.txt", "fits", "g.fits.txt"):
        touch(tmp_path / name)
    expected = ["a.fit", "b.FITS", "e.Fits.Fz", "f.fit.gz", "sub/c.fts", "sub/deep/d.fits.gz"]
    assert names(tmp_path) == expected


def test_the_folder_of_an_earlier_run_is_passed_over_unless_named(tmp_path):
    touch(tmp_path / "a.fits", tmp_path / "surveyfit-run/catalog.fits")
    (tmp_path / "surveyfit-run/run.json").write_text("{}")
    assert names(tmp_path) == ["a.fits"]
    assert names(tmp_path / "surveyfit-run") == ["catalog.fits"]


def test_a_file_reached_twice_counts_once(tmp_path):
    touch(tmp_path / "a.fits")
    (tmp_path / "link.fits").symlink_to(tmp_path / "a.fits")
    assert names(tmp_path / "a.fits", tmp_path, tmp_path / "*.fits") == ["a.fits"]


def test_files_of_equal_name_are_told_apart_by_their_paths(tmp_path):
    touch(tmp_path / "one/a.fits", tmp_path / "two/a.fits", tmp_path / "two/b.fits")
    found = names(tmp_path / "one", tmp_path / "two")
    assert found == [str(tmp_path / "one/a.fits"), str(tmp_path / "two/a.fits"), "b.fits"]


def test_glob_takes_files_and_folders_and_no_foreign_files(tmp_path):
    touch(tmp_path / "n1.fits", tmp_path / "n2/x.fits", tmp_path / "n3.txt")
    assert names(tmp_path / "n*") == ["n1.fits", "x.fits"]


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    touch(tmp_path / "a[1].fits")
    assert names(tmp_path / "a[1].fits") == ["a[1].fits"]


def test_list_is_relative_to_its_own_folder_and_has_comments(tmp_path, monkeypatch):
    touch(tmp_path / "data/a.fits", tmp_path / "data/b.dat")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/l.txt").write_text("# mine\n\n../data/a.fits  # first\n../data/b.dat\n")
    monkeypatch.chdir("/")
    assert names(tmp_path / "lists/l.txt") == ["a.fits", "b.dat"]


@pytest.mark.parametrize(
    ("make", "argument", "words"),
    [
        (lambda p: None, "nowhere.fits", "does not exist"),
        (lambda p: None, "*.fits", "nothing matches"),
        (lambda p: (p / "empty").mkdir(), "empty", "holds no FITS file"),
        (lambda p: (p / "l.txt").write_text("\n#\n"), "l.txt", "lists no image"),
        (lambda p: (p / "l.txt").write_text("#\ngone.fits\n"), "l.txt", "line 2: gone.fits"),
        (lambda p: (p / "l.dat").write_bytes(b"\xff\xfe\xe9"), "l.dat", "neither a FITS file"),
    ],
)
def test_what_cannot_be_found_is_named(tmp_path, make, argument, words):
    make(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        names(tmp_path / argument)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_that_may_not_be_listed_is_named(tmp_path):
    touch(tmp_path / "closed/a.fits")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be listed"):
            names(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize("name", ["M31.fits", "M31.FIT.GZ", "x/M31.fts.fz", "M31"])
def test_stem_has_no_fits_endings(name):
    assert stem_of(name) == "M31"
