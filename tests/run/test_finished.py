"""A run opened from Python."""

from pathlib import Path

import numpy as np
import pytest

import surveyfit
from surveyfit.errors import InputError


def test_a_run_opens_as_table_cutouts_and_record(plain_run: Path) -> None:
    run = surveyfit.open_run(plain_run)
    assert run.record["state"] == "finished"
    assert len(run.catalog) == run.record["catalogue_rows"]
    cutouts = [
        array for _, array in run.cutouts.members(max_depth=None) if array.path.endswith("/pixels")
    ]
    assert sum(array.shape[0] for array in cutouts) == len(run.catalog)
    assert all(array.dtype == np.float32 for array in cutouts)
    assert all(array.shape[1] == int(array.path.split("/")[-2]) for array in cutouts)


def test_the_fitted_model_lies_on_the_cutout(plain_run: Path) -> None:
    run = surveyfit.open_run(plain_run)
    table = run.catalog
    table.add_index("source_id")
    sources = next(a for _, a in run.cutouts.members(max_depth=None) if a.path.endswith("/sources"))
    group = run.cutouts[sources.path.rsplit("/", 1)[0]]
    fields = group.attrs["fields"]
    known = dict(zip(fields, sources[...].T, strict=True))
    brightest = int(np.argmax(known["amp"]))
    distance = np.hypot(
        table["fit_x0"] - known["peak_x"][brightest], table["fit_y0"] - known["peak_y"][brightest]
    )
    row = table[int(np.nanargmin(distance))]
    pixels = group["pixels"][brightest]
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    dx = x + known["corner_x"][brightest] - row["fit_x0"]
    dy = y + known["corner_y"][brightest] - row["fit_y0"]
    quadratic = dx**2 + dy**2 + row["fit_rho"] * dx * dy + row["fit_diff"] * (dx**2 - dy**2)
    model = row["fit_amp"] * np.exp(-quadratic / (2 * row["fit_sigma"] ** 2)) + row["fit_bkg"]
    residual = (pixels - model)[np.isfinite(pixels)] / row["local_rms"]
    # Median of |Gaussian| is 0.674; a swap of x and y or a shift of a pixel gives many sigmas.
    assert np.median(np.abs(residual)) < 0.9


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run directory"):
        surveyfit.open_run(tmp_path)


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = surveyfit.nothing
