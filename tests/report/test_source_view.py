"""A row is drawn with the pixels that it was fitted to, and no others."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from surveyfit.errors import InputError
from surveyfit.report.find_source import find_sources
from surveyfit.report.read_source import read_source, read_sources
from surveyfit.run.directory import RunDirectory
from surveyfit.sky.reader import ImageReader


@pytest.fixture(scope="module")
def catalogue(plain_run):
    return pd.read_parquet(plain_run / "catalog.parquet")


@pytest.fixture(scope="module")
def views(plain_run, catalogue):
    ids = catalogue.sample(30, random_state=4)["source_id"].tolist()
    return read_sources(RunDirectory.open(plain_run), ids), ids


def crop(survey: Path, view) -> np.ndarray:
    """Cut the same pixels out of the image by hand."""
    pixels = np.pad(fits.getdata(survey / view.row["image"]), 128, constant_values=np.nan)
    x, y = (c + 128 for c in view.corner)
    return pixels[y : y + view.side, x : x + view.side]


def test_sources_come_in_the_order_that_was_asked_for(views):
    assert [view.row["source_id"] for view in views[0]] == views[1]


def test_the_pixels_are_those_of_the_image_around_the_source(survey, views):
    for view in views[0]:
        there = crop(survey, view)
        # The background map, on a flat sky, differs by less than a tenth of the noise in a cutout.
        np.testing.assert_allclose(view.data, there, atol=0.1 * view.row["local_rms"])
        column, row = np.array(view.peak) - view.corner
        assert view.data[row, column] == pytest.approx(there[row, column], rel=1e-6)


def test_the_mask_is_what_the_stored_cutout_leaves_out(plain_run, views):
    import surveyfit

    cutouts = surveyfit.open_run(plain_run).cutouts
    for view in views[0]:
        group = cutouts[f"{view.image.key}/{view.row['tile']}/{view.side}"]
        sources = pd.DataFrame(group["sources"][:], columns=group.attrs["fields"])
        (at,) = np.flatnonzero((sources[["peak_x", "peak_y"]].to_numpy() == view.peak).all(axis=1))
        np.testing.assert_array_equal(view.mask, np.isnan(group["pixels"][at]))
        assert view.note == ""


def test_the_model_is_the_ellipse_of_the_catalogue(views):
    for view in views[0]:
        row = view.row
        y, x = np.mgrid[view.box.slices]
        angle = np.radians(row["pa_pix"])
        along = (x - row["x"]) * np.cos(angle) + (y - row["y"]) * np.sin(angle)
        across = (y - row["y"]) * np.cos(angle) - (x - row["x"]) * np.sin(angle)
        form = (2 * along / row["maj_pix"]) ** 2 + (2 * across / row["min_pix"]) ** 2
        expected = row["flux_peak"] * 0.5**form + row["fit_bkg"]
        np.testing.assert_allclose(view.model, expected, rtol=1e-6, atol=1e-6 * row["flux_peak"])


def test_weights_are_one_on_the_model_half_a_gamma_off_and_zero_on_the_mask(views):
    view = next(v for v in views[0] if v.mask.any() and v.row["snr"] > 10)
    on_model = replace(view, data=view.model.astype(np.float32))
    off = replace(view, data=(view.model + view.row["gamma"]).astype(np.float32))
    assert (view.weights[view.mask] == 0).all()
    np.testing.assert_allclose(on_model.weights[~view.mask], 1, atol=1e-6)
    np.testing.assert_allclose(off.weights[~view.mask], 0.5, atol=1e-4)  # float32 data


def test_a_noisier_pixel_keeps_more_weight(views):
    view = next(v for v in views[0] if v.row["snr"] > 10)
    noisy = replace(view, noise=2 * view.noise)
    off = np.abs(view.residual) > 0
    assert (noisy.weights[off & ~view.mask] > view.weights[off & ~view.mask]).all()


def test_neighbours_are_the_other_rows_inside_the_cutout(catalogue, views):
    found = 0
    for view in views[0]:
        rows = catalogue[catalogue["image"] == view.row["image"]]
        x, y = rows["x"].round() - view.corner[0], rows["y"].round() - view.corner[1]
        inside = rows[x.between(0, view.side - 1) & y.between(0, view.side - 1)]
        expected = set(inside["source_id"]) - {view.row["source_id"]}
        assert {n["source_id"] for n in view.neighbours} == expected
        found += len(expected)
    assert found > 0


def test_a_source_is_found_by_its_name_with_and_without_the_prefix(plain_run, catalogue):
    directory, row = RunDirectory.open(plain_run), catalogue.iloc[7]
    for name in (row["name"], row["name"].removeprefix("SFIT ")):
        (place,) = find_sources(directory, [name])
        assert place.row["source_id"] == row["source_id"]


def test_an_identifier_that_a_spreadsheet_has_rounded_is_recognised(plain_run, catalogue):
    meant = int(catalogue["source_id"].iloc[3])
    rounded = int(float(meant))
    with pytest.raises(InputError, match=f"no source {rounded}: the nearest is {meant}"):
        find_sources(RunDirectory.open(plain_run), [rounded])


def test_the_name_that_begins_alike_is_named(plain_run, catalogue):
    meant = catalogue["name"].iloc[3]
    with pytest.raises(InputError, match=r"the nearest is SFIT J\d+"):
        find_sources(RunDirectory.open(plain_run), [meant[:-1] + "x"])


def test_of_an_unfinished_run_committed_parts_are_read(plain_run, catalogue, tmp_path):
    run = shutil.copytree(plain_run, tmp_path / "run")
    _, second = sorted(run.glob("receipts/fit-batch-*.json"))
    second.unlink()
    (run / "receipts.json").unlink()
    images = sorted(catalogue["image"].unique())
    ids = [int(catalogue.loc[catalogue["image"] == i, "source_id"].iloc[0]) for i in images]
    directory = RunDirectory.open(run)
    assert read_source(directory, ids[0]).row["image"] == images[0]
    with pytest.raises(InputError, match="no source"):
        read_source(directory, ids[1])


def test_cutouts_that_are_gone_are_told_in_one_line(small, tmp_path):
    run = shutil.copytree(small / "run", tmp_path / "run")
    row = pd.read_parquet(run / "catalog.parquet").iloc[0]
    for folder in (run / "cutouts.zarr").glob("*/*"):
        if folder.is_dir():
            shutil.rmtree(folder)
    with pytest.raises(InputError, match=rf"the cutout of {row['source_id']} is missing") as error:
        read_source(RunDirectory.open(run), int(row["source_id"]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", ["gone", "changed", "shortened"])
def test_without_its_image_a_source_is_shown_from_the_cutout_alone(
    small, tmp_path, monkeypatch, what
):
    def fail(reader, box):
        raise InputError("shortened", "replace it")

    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    (image,) = (small / "sky").glob("*.fits")
    rows = pd.read_parquet(small / "run" / "catalog.parquet")
    kept = image.read_bytes()
    directory = RunDirectory.open(small / "run")
    try:
        if what == "gone":
            image.unlink()
        elif what == "shortened":
            monkeypatch.setattr(ImageReader, "read", fail)
        else:
            with fits.open(image, mode="update") as file:
                file[0].data += 100
        view = read_source(directory, int(rows["source_id"].iloc[0]))
    finally:
        image.write_bytes(kept)
    assert what in view.note or "cannot be read any more" in view.note
    np.testing.assert_array_equal(np.isnan(view.data), view.mask)
