"""What is left of an image: its noise, its world coordinates, and none of its known sources."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from command_line import surveyfit

from surveyfit.report.model_sky import FAINTEST, LARGEST_FWHM, read_model
from surveyfit.report.residual import write_residuals
from surveyfit.run.directory import RunDirectory
from surveyfit.run.verify import Extent, read_again
from surveyfit.sky.box import Box
from surveyfit.sky.classify import MADE_BY_US
from surveyfit.sky.find import Found
from surveyfit.sky.image import scan_file

IMAGE = "sky_0001.fits"


@pytest.fixture(scope="module")
def made(plain_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("residual")
    assert write_residuals(plain_run, folder, (), lambda line: None, pytest.fail) == 0
    return folder


def read(folder: Path, kind: str, image: str = IMAGE) -> np.ndarray:
    (path,) = folder.glob(f"{image.replace('.', '_')}-*_{kind}.fits")
    return fits.getdata(path)


def truth(survey: Path) -> pd.DataFrame:
    table = pd.read_csv(survey / "truth.csv")
    return table[table["image"] == IMAGE]


def test_noise_is_left_where_there_were_sources(made, plain_run):
    left, model = read(made, "residual"), read(made, "model")
    images = pd.read_parquet(plain_run / "images.parquet")
    noise = images.loc[images["image"] == IMAGE, "noise"].iloc[0]
    pull = left / np.sqrt(noise**2 + model)  # electrons: the photons of the sources add theirs
    under = np.isfinite(left) & (model > noise)
    assert under.sum() > 500
    assert 1.4826 * np.nanmedian(np.abs(pull)) == pytest.approx(1, abs=0.02)
    assert 1.4826 * np.median(np.abs(pull[under])) == pytest.approx(1, abs=0.1)


def test_the_flux_of_true_sources_is_gone(survey, made):
    left, shares = read(made, "residual"), []
    y, x = np.mgrid[: left.shape[0], : left.shape[1]]
    for source in truth(survey).query("nearest_pix > 10 and peak_snr > 20").itertuples():
        inside = np.hypot(x - source.x, y - source.y) < 1.3 * source.fwhm_maj  # 3 sigmas
        shares.append(np.nansum(left[inside]) / source.flux)
    assert len(shares) >= 5
    assert np.median(np.abs(shares)) < 0.02


def test_model_and_residual_add_up_to_the_image_less_a_smooth_background(survey, made):
    image = fits.getdata(survey / IMAGE)
    background = image - read(made, "model") - read(made, "residual")
    assert np.nanstd(background) < 0.1 * np.nanstd(read(made, "residual"))
    assert np.nanmedian(background) == pytest.approx(np.median(image), rel=0.01)


def test_only_pixels_that_were_not_used_have_no_value(survey, made):
    with fits.open(survey / IMAGE) as file:
        bad = (file[1].data != 0) | ~np.isfinite(file[0].data)
    np.testing.assert_array_equal(np.isnan(read(made, "residual")), bad)
    assert np.isfinite(read(made, "model")).all()


def test_bands_leave_no_trace(plain_run, made, tmp_path):
    lines: list[str] = []
    failures = write_residuals(
        plain_run, tmp_path, [IMAGE], lines.append, pytest.fail, band_pixels=7 * 300
    )
    assert failures == 0
    assert len(lines) == 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    for name in names:
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_the_header_says_where_and_what_it_is(survey, made):
    (path,) = made.glob("sky_0001*_residual.fits")
    with fits.open(path) as file:
        file.verify("exception")
        header = file[0].header
    given = fits.getheader(survey / IMAGE)
    corners = [[0, 0], [299, 0], [0, 299], [299, 299]]
    here, there = (WCS(h).all_pix2world(corners, 0) for h in (header, given))
    np.testing.assert_array_equal(here, there)
    assert header["BUNIT"] == given["BUNIT"]
    assert header["SFKIND"] == "residual"
    assert header["SFIMAGE"] == IMAGE
    assert "image - background map - model" in str(header["HISTORY"])


def test_a_run_is_still_what_it_was_with_residuals_in_it(small, tmp_path):
    run = shutil.copytree(small / "run", tmp_path / "run")
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    answer = surveyfit("residual", run)
    assert answer.status == 0
    assert "sources taken off" in answer.out
    assert len(list((run / "residual").iterdir())) == 2
    assert all(path.read_bytes() == content for path, content in before.items())
    assert list(read_again(RunDirectory.open(run), Extent(print))) == []


def test_an_image_that_has_changed_or_gone_is_named_in_one_line(small, tmp_path):
    (image,) = (small / "sky").glob("*.fits")
    kept = image.read_bytes()
    try:
        image.write_bytes(kept[:-1] + b"x")
        changed = surveyfit("residual", small / "run", "-o", tmp_path)
        image.unlink()
        gone = surveyfit("residual", small / "run", "-o", tmp_path)
    finally:
        image.write_bytes(kept)
    assert changed.status == gone.status == 3
    assert "is not the image that was measured any more" in changed.err
    assert "cannot be read" in gone.err
    assert changed.err.count("\n") == gone.err.count("\n") == 1
    assert changed.out == gone.out == ""
    assert not list(tmp_path.iterdir())


def test_an_image_that_is_not_in_the_run_is_refused_before_anything_is_written(small, tmp_path):
    answer = surveyfit("residual", small / "run", "--image", "sky_1.fits", "-o", tmp_path / "new")
    assert answer.status == 2
    assert "has no image sky_1.fits: of its" in answer.err
    assert "sky_0001.fits" in answer.err
    assert not (tmp_path / "new").exists()


def test_residuals_beside_an_image_are_no_images(made):
    for path in made.iterdir():
        contents = scan_file(Found(path, path.name))
        assert contents.images == ()
        assert [other.kind for other in contents.others] == [MADE_BY_US]


@pytest.mark.parametrize("command", ["residual", "report", "validate"])
def test_a_run_of_another_version_is_refused_in_one_line(small, tmp_path, command):
    run = shutil.copytree(small / "run", tmp_path / "run")
    directory = RunDirectory.open(run)
    record = directory.record() | {"schema_version": 1}
    del record["configuration"]["thresh"]  # a configuration that this version cannot read
    directory.write_record(record)
    answer = surveyfit(command, run)
    assert answer.status == 2
    assert "was made by another version of surveyfit" in answer.err
    assert answer.err.count("\n") == 1


def test_tiles_without_a_catalogue_are_counted(small, tmp_path):
    run = shutil.copytree(small / "run", tmp_path / "run")
    for path in run.glob("receipts/fit-batch-*.json"):
        path.unlink()
    answer = surveyfit("residual", run, "-o", tmp_path / "new")
    assert answer.status == 0
    assert "0 of 0 sources taken off" in answer.out
    assert "1 tiles are not measured" in answer.out


def test_light_ends_where_it_is_fainter_than_a_thousandth_of_the_noise(plain_run):
    (part, *_) = sorted((plain_run / "catalog.parquet").iterdir())
    rows = pd.read_parquet(part).sort_values("snr", ascending=False)
    box, model = Box(0, 300, 0, 300), read_model([part])
    y, x = np.mgrid[box.slices]
    whole = np.zeros(box.shape)
    for row in rows[rows["maj_pix"] <= LARGEST_FWHM].itertuples():
        angle = np.radians(row.pa_pix)
        along = (x - row.x) * np.cos(angle) + (y - row.y) * np.sin(angle)
        across = (y - row.y) * np.cos(angle) - (x - row.x) * np.sin(angle)
        form = (2 * along / row.maj_pix) ** 2 + (2 * across / row.min_pix) ** 2
        if not row.flags & (8 | 64 | 1 << 19):  # max_iterations, position_drift, no_data
            whole += row.flux_peak * 0.5**form
    short = whole - model.light(box)
    # Up to a few sources may each lack that much in a pixel.
    assert 0 <= short.max() < 5 * FAINTEST * rows["local_rms"].max()
    assert short.min() > -1e-6 * rows["flux_peak"].max()
