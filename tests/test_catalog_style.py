"""``surveyfit catalog RUN --style``: the tables of a run, from the command line."""

from pathlib import Path

import numpy as np
from astropy.io import ascii as texts
from astropy.table import Table
from command_line import surveyfit

from surveyfit.cli.tables import catalog
from surveyfit.schema import GOOD
from surveyfit.sky.styles.styled import STYLES


def test_every_style_can_be_chosen() -> None:
    (option,) = (p for p in catalog.params if p.name == "style")
    assert list(option.type.choices) == list(STYLES)


def test_a_sextractor_catalogue_of_a_run(plain_run: Path, tmp_path: Path) -> None:
    target, ours = tmp_path / "found.cat", Table.read(plain_run / "catalog.fits")
    answer = surveyfit("catalog", plain_run, "-t", target, "--style", "sextractor")
    table = texts.read(target, format="sextractor")
    left_out = len(ours) - len(table)
    assert answer.status == 0
    assert answer.out == f"{len(table)} rows in {target}, {left_out} left out (docs/styles.md)\n"
    fitted = ours[np.isfinite(ours["x"])]
    np.testing.assert_allclose(table["X_IMAGE"] - 1, fitted["x"], atol=1e-5)
    good = np.asarray(fitted["flags"]) & GOOD == 0
    np.testing.assert_array_equal(np.asarray(table["FLAGS"]) < 4, good)


def test_pybdsf_and_aegean_catalogues_of_a_run(plain_run: Path, tmp_path: Path) -> None:
    ours = Table.read(plain_run / "catalog.fits")
    for style, good in (
        ("pybdsf", (ours["flags"] & GOOD) == 0),
        ("aegean", np.isfinite(ours["x"])),
    ):
        target = tmp_path / f"{style}.fits"
        assert surveyfit("catalog", plain_run, "-t", target, "--style", style).status == 0
        assert len(Table.read(target)) == np.count_nonzero(good)


def test_a_format_that_the_style_does_not_have_is_wrong_use(
    plain_run: Path, tmp_path: Path
) -> None:
    answer = surveyfit("catalog", plain_run, "-t", tmp_path / "a.reg", "--style", "aegean")
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
