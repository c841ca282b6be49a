"""Of images that overlap, each piece of sky belongs to one: the column is_primary."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from command_line import record, surveyfit
from overlapping import SIDE, wcs_at, write_image

from surveyfit.run import primary
from surveyfit.run.catalogue import read_catalogue, read_images
from surveyfit.run.config import Config, Execution
from surveyfit.run.directory import RunDirectory
from surveyfit.run.pieces import Stage
from surveyfit.run.pipeline import submit
from surveyfit.run.primary import Contender, Primaries, contenders, overlapping
from surveyfit.schema import Flag
from surveyfit.sky.footprint import Footprint

QUIET_LOOP = Execution(workers=0, quiet=True)

HOLE = (slice(60, 100), slice(60, 100))

THREE = ("better.fits", "worse.fits", "worst.fits")
"""The images of a filter that overlap."""

MARGIN = 17.0
"""Pixels from the edge of an image or of a hole: two blocks of 8 and a pixel for the fit."""

IMAGES: dict[str, Callable[[Path], None]] = {
    # The zero points make the better image look noisier: 2 x 10 counts against 6 counts.
    "better.fits": lambda path: write_image(path, 0.0, 2.0, zeropoint=27.5, hole=HOLE),
    "worse.fits": lambda path: write_image(path, 70.0, 6.0, north=10.0),
    "worst.fits": lambda path: write_image(path, 70.0, 9.0, north=-60.0),
    "other.fits": lambda path: write_image(path, 70.0, 20.0, name="i"),
    "nowhere.fits": lambda path: write_image(path, 70.0, 21.0, placed=False),
    # Its circle touches that of the best one, its pixels do not.
    "away.fits": lambda path: write_image(path, -170.0, 22.0),
}


def run_of(images: Path, run: Path, *names: str) -> Path:
    """Submit some of the images."""
    assert submit([str(images / name) for name in names], run, Config(), QUIET_LOOP) == 0
    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, write in IMAGES.items():
        write(folder / name)
    return folder


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure all images at once."""
    return run_of(images, tmp_path_factory.mktemp("runs") / "whole", *IMAGES)


@pytest.fixture(scope="module")
def three(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure the three of a filter at once."""
    return run_of(images, tmp_path_factory.mktemp("runs") / "three", *THREE)


@pytest.fixture(scope="module")
def two(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure the three but the best one."""
    run = tmp_path_factory.mktemp("runs") / "two"
    return run_of(images, run, "worse.fits", "worst.fits")


def rows_of(run: Path, name: str) -> Table:
    table = read_catalogue(RunDirectory(run))
    return table[table["image"] == name]


def committed(run: Path) -> dict[str, bytes]:
    """Return what a run says of sources, file by file; receipts and images hold seconds too."""
    files = [run / "catalog.fits", *sorted(run.glob("catalog.parquet/*"))]
    return {path.name: path.read_bytes() for path in files}


def well_inside(rows: Table, east: float, north: float = 0.0) -> np.ndarray:
    """Say which sources are far enough from the edges of an image, by astropy's WCS."""
    x, y = wcs_at(east / 3600 / np.cos(np.radians(30)), 30 + north / 3600).world_to_pixel(
        SkyCoord(rows["ra"], rows["dec"])
    )
    return np.all((np.array([x, y]) > MARGIN) & (np.array([x, y]) < SIDE - 1 - MARGIN), axis=0)


def in_hole(rows: Table, margin: float) -> np.ndarray:
    x, y = wcs_at(0.0, 30.0).world_to_pixel(SkyCoord(rows["ra"], rows["dec"]))
    return np.all(
        [
            (v > s.start - margin) & (v < s.stop - 1 + margin)
            for v, s in zip((y, x), HOLE, strict=True)
        ],
        axis=0,
    )


def test_a_source_that_several_images_show_has_one_primary_row(whole: Path) -> None:
    """The better image crosses ra 0; sources are 14 arcsec apart or more.

    Those that an edge cuts are left out: their positions are off, and may lie beyond the edge.
    """
    rows = [rows_of(whole, name) for name in THREE]
    places = [SkyCoord(r["ra"], r["dec"]) for r in rows]
    together = 0
    for mine, here in zip(rows, places, strict=True):
        primaries = np.zeros(len(mine), int)
        seen = np.zeros(len(mine), int)
        for theirs, there in zip(rows, places, strict=True):
            nearest, away, _ = here.match_to_catalog_sky(there)
            same = away < 1.5 * u.arcsec
            seen += same
            primaries += same & np.asarray(theirs["is_primary"])[nearest]
        uncut = mine["flags"] & Flag.EDGE_TRUNCATED == 0
        np.testing.assert_array_equal(primaries[uncut], 1)
        together += int(np.count_nonzero(seen[uncut] > 1))
    assert together > 20


def test_the_better_image_owns_what_it_shows_but_for_its_hole(whole: Path) -> None:
    worse = rows_of(whole, "worse.fits")
    hers = well_inside(worse, 0.0)
    of_hole = hers & in_hole(worse, margin=0)
    clear = hers & ~in_hole(worse, MARGIN)
    assert clear.sum() > 3
    assert of_hole.sum() > 0
    assert not worse["is_primary"][clear].any()
    assert worse["is_primary"][of_hole].all()
    better = rows_of(whole, "better.fits")
    assert better["is_primary"][well_inside(better, 0.0) & ~in_hole(better, MARGIN)].all()


def test_only_images_of_the_same_filter_at_known_places_compete(whole: Path) -> None:
    for name in ("other.fits", "nowhere.fits", "away.fits"):
        rows = rows_of(whole, name)
        assert len(rows) > 3
        assert rows["is_primary"].all()


def test_the_table_of_images_tells_bands_depths_and_counts(whole: Path) -> None:
    images = read_images(RunDirectory(whole))
    np.testing.assert_array_equal(
        images["n_primary"], [rows_of(whole, i)["is_primary"].sum() for i in images["image"]]
    )
    bands = dict(zip(images["image"], images["band"], strict=True))
    assert bands["better.fits"] == bands["worst.fits"] == "r (flux of magnitude 0)"
    assert bands["other.fits"] == "i (flux of magnitude 0)"
    assert bands["nowhere.fits"] == ""
    depth = dict(zip(images["image"], images["depth"], strict=True))
    # Measured noise is good to a few per cent in 25 600 pixels with sources.
    assert depth["worse.fits"] / depth["better.fits"] == pytest.approx(3, rel=0.1)
    stored = Table.read(whole / "images.parquet")
    assert stored.colnames == images.colnames
    assert list(stored["n_primary"]) == list(images["n_primary"])


def test_an_image_more_changes_who_is_primary_and_nothing_is_fitted_again(
    images: Path, tmp_path: Path, three: Path
) -> None:
    """In another order of submits, and in one: the same to the last byte."""
    run = run_of(images, tmp_path / "run", "better.fits")
    assert rows_of(run, "better.fits")["is_primary"].all()
    run_of(images, run, "better.fits", "worst.fits")
    run_of(images, run, *THREE)
    # A noise, a tile and a batch of each of the two that were there, beside three opened files.
    assert record(run)["counts"]["pieces_resumed"] == 6
    assert record(run)["counts"]["pieces_worked"] == 3
    assert committed(run) == committed(three)
    assert surveyfit("verify", run).status == 0


def test_submitting_again_changes_no_byte(images: Path, three: Path) -> None:
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in three.rglob("*") if p.is_file()}
    run_of(images, three, *THREE)
    assert before == {
        p: (p.read_bytes(), p.stat().st_mtime_ns) for p in three.rglob("*") if p.is_file()
    }


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["remove", "write_part", "write_sealed"])
@pytest.mark.parametrize("done", [False, True])
def test_after_a_kill_at_any_step_the_next_submit_mends(
    step: str,
    done: bool,
    images: Path,
    two: Path,
    three: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The better image comes last; the kill is just before or after a step of the first change."""
    run = shutil.copytree(two, tmp_path / "run")
    real = getattr(primary, step)

    def killed(*words: object) -> None:
        if done:
            real(*words)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(primary, step, killed)
        with pytest.raises(_Killed):
            run_of(images, run, *THREE)
    assert surveyfit("verify", run).status == 0
    run_of(images, run, *THREE)
    assert committed(run) == committed(three)
    assert surveyfit("verify", run).status == 0


def test_rows_are_primary_again_when_the_better_image_is_another(
    images: Path, two: Path, tmp_path: Path
) -> None:
    """Its file now shows another place."""
    folder = shutil.copytree(images, tmp_path / "images")
    run = run_of(folder, tmp_path / "run", *THREE)
    (folder / "better.fits").unlink()
    write_image(folder / "better.fits", 3000.0, 2.0)
    run_of(folder, run, *THREE)
    held, expected = committed(run), committed(two)
    parts = [name for name in expected if name.startswith("wors")]
    assert len(parts) == 2
    assert all(held[name] == expected[name] for name in parts)
    assert surveyfit("verify", run).status == 0


def ranked(run: Path, missing: str) -> dict[str, Contender]:
    """Rank the images of a run, nothing of one of them being fitted."""
    directory = RunDirectory(run)
    measured = [receipt for _, receipt in directory.read_receipts(Stage.NOISE)]
    tiles = {
        receipt["image"]: receipt["tiles"]
        for _, receipt in directory.read_receipts(Stage.FIT)
        if receipt["name"] != missing
    }
    return contenders(measured, tiles, Config())


def test_a_better_image_that_could_not_be_fitted_owns_nothing(three: Path, tmp_path: Path) -> None:
    run = shutil.copytree(three, tmp_path / "run")
    images = ranked(run, missing="better.fits")
    primaries = Primaries(RunDirectory(run), images)
    (worse,) = (key for key in images if key.startswith("worse"))
    parts = [path.name for path in run.glob("catalog.parquet/worse*")]
    before = rows_of(run, "worse.fits")
    shared = well_inside(before, 0.0) & well_inside(before, 70.0, 10.0)
    assert not before["is_primary"][shared & ~in_hole(before, MARGIN)].any()
    primaries.settle(worse, parts, secondary=1)
    assert rows_of(run, "worse.fits")["is_primary"][shared].all()


def test_a_damaged_part_is_not_given_a_new_receipt(three: Path, tmp_path: Path) -> None:
    run = shutil.copytree(three, tmp_path / "run")
    (part,) = run.glob("catalog.parquet/worse*")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    images = ranked(run, missing="better.fits")
    (worse,) = (key for key in images if key.startswith("worse"))
    with pytest.raises(primary.DamagedError, match="damaged"):
        Primaries(RunDirectory(run), images).settle(worse, [part.name], secondary=1)


def test_equal_noise_is_decided_by_content_and_neither_by_order_nor_name(three: Path) -> None:
    directory = RunDirectory(three)
    measured = [receipt for _, receipt in directory.read_receipts(Stage.NOISE)]
    alike = {"noise": 5.0, "facts": measured[0]["result"]["facts"]}
    same = [receipt | {"result": receipt["result"] | alike} for receipt in measured]
    by_digest = sorted(same, key=lambda receipt: receipt["result"]["image"]["digest"])
    for order in (same, same[::-1]):
        images = contenders(order, {}, Config()).values()
        best = sorted(images, key=lambda image: image.rank)
        assert [image.key for image in best] == [receipt["image"] for receipt in by_digest]


@pytest.mark.parametrize(
    ("first", "second", "touch"),
    [
        ((0.02, 10.0, 0.1), (359.98, 10.0, 0.1), True),
        ((0.0, 89.95, 0.1), (180.0, 89.95, 0.1), True),
        ((0.0, -89.95, 0.1), (90.0, -89.95, 0.1), True),
        ((0.0, 89.8, 0.1), (180.0, 89.8, 0.1), False),
        ((10.0, 60.0, 0.1), (10.39, 60.0, 0.1), True),  # 0.195 degrees on the sky
        ((10.0, 0.0, 0.1), (10.39, 0.0, 0.1), False),
        ((10.0, 0.0, 0.01), (10.0, 2.0, 2.0), True),  # of very different size
        ((10.0, 0.0, 180.0), (190.0, 0.0, 0.1), True),  # a map of the whole sky
    ],
)
def test_circles_that_touch_are_found_anywhere(
    first: tuple[float, float, float], second: tuple[float, float, float], touch: bool
) -> None:
    pair = [
        Contender(name, "r", None, (1.0, name, 0, ()), Footprint(*place, ()), (), {})
        for name, place in (("a", first), ("b", second))
    ]
    assert [i.key for i in overlapping(pair)["a"]] == (["b"] if touch else [])
    assert not overlapping([pair[0], pair[1]._replace(band="i")])


@pytest.mark.parametrize("seed", range(4))
def test_circles_of_any_sizes_touch_where_their_angles_say_so(seed: int) -> None:
    """Each pair is held against the angle between the centres, astropy's."""
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360, 120), np.degrees(np.arcsin(random.uniform(-1, 1, 120)))
    radii = 10 ** random.uniform(-1, 2, 120)
    images = [
        Contender(str(i), "r", None, (i, "", 0, ()), Footprint(ra[i], dec[i], radii[i], ()), (), {})
        for i in range(120)
    ]
    places = SkyCoord(ra, dec, unit="deg")
    angles = places[:, None].separation(places).deg
    rivals = overlapping(images)
    for i in range(120):
        touching = np.flatnonzero(angles[i] <= radii[i] + radii)
        assert [int(image.key) for image in rivals[str(i)]] == [j for j in touching if j != i]
