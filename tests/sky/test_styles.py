"""Catalogues in the style of other programs, read back as their users read them."""

import re
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import ascii as texts
from astropy.table import Table
from catalog_rows import MISSING_ROW, random_rows

from surveyfit.errors import InputError
from surveyfit.schema import COLUMNS, FLAG_WORDS, GOOD, Flag
from surveyfit.sky.described import described
from surveyfit.sky.header import Beam
from surveyfit.sky.styles.column import Observed
from surveyfit.sky.styles.styled import STYLES, check_styled_target, styled, write_styled

DATA = Path(__file__).parents[3] / "shared" / "data"
with_data = pytest.mark.skipif(not DATA.is_dir(), reason="the development images are not here")
N = 8
BEAM = Beam(9.0, 6.0, 120.0)
IMAGES = {"field_é.fits": Observed(BEAM, 1.4e9)}


def catalogue(**changed: np.ndarray) -> Table:
    """Return rows of one image in Jy/beam, one of them without a fit, with some columns given."""
    plain = {"flags": np.zeros(N, np.int32), "source_id": np.arange(N) + 2**62}
    rows = random_rows(N, image="field_é.fits") | plain | changed
    return described(COLUMNS, rows, "Jy/beam")


def with_fit(values: np.ndarray) -> np.ndarray:
    return np.delete(np.asarray(values), MISSING_ROW, axis=0)


def test_aegean_has_its_units_and_angles() -> None:
    ours = catalogue()
    ours["pos_ang"] += 60.0
    table = styled(ours, IMAGES, STYLES["aegean"])
    np.testing.assert_array_equal(table["peak_flux"], with_fit(ours["flux_peak"]))
    np.testing.assert_allclose(table["err_ra"] * 3600, with_fit(ours["ra_err"]))
    np.testing.assert_array_equal(table["a"], with_fit(ours["maj_axis"]))
    assert ((table["pa"] > -90) & (table["pa"] <= 90)).all()
    turns = (table["pa"] - with_fit(ours["pos_ang"])) / 180
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-12)
    units = [str(table[name].unit) for name in ("peak_flux", "int_flux", "a", "err_dec", "pa")]
    assert units == ["Jy / beam", "Jy", "arcsec", "deg", "deg"]
    assert (table["psf_a"][0], table["psf_b"][0], table["psf_pa"][0]) == (9.0, 6.0, -60.0)
    assert [UUID(word).int for word in table["uuid"]] == list(with_fit(ours["source_id"]))
    spelled = SkyCoord(table["ra_str"], table["dec_str"], unit=("hourangle", "deg"))
    where = SkyCoord(table["ra"], table["dec"])
    # 0.01 s of time and of arc, at declinations above 0.
    assert spelled.separation(where).arcsec.max() < 0.08
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d", word) for word in table["ra_str"])
    assert all(re.fullmatch(r"[+-]\d\d:\d\d:\d\d\.\d\d", word) for word in table["dec_str"])


def test_aegean_has_minus_one_where_an_error_is_not_known() -> None:
    error = np.full(N, 0.5)
    error[0] = np.nan
    table = styled(catalogue(maj_axis_err=error), IMAGES, STYLES["aegean"])
    assert table["err_a"][:2].tolist() == [-1.0, 0.5]


def test_islands_are_numbered_and_their_sources_by_brightness() -> None:
    ours = catalogue(
        island_id=np.array([70, 70, 5, 3, 70, 3, 5, 9]),
        flux_peak=np.array([2.0, 3.0, 1.0, 1.0, 9.0, 4.0, 1.0, 1.0]),
    )
    table = styled(ours, IMAGES, STYLES["aegean"])
    # The third row has no fit.
    assert table["island"].tolist() == [0, 0, 1, 0, 1, 2, 3]
    assert table["source"].tolist() == [2, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("style", STYLES)
def test_rows_without_a_fit_are_left_out(style: str) -> None:
    assert len(styled(catalogue(), IMAGES, STYLES[style])) == N - 1
    x = np.full(N, np.nan)
    assert len(styled(catalogue(x=x), IMAGES, STYLES[style])) == 0


def test_a_source_without_a_place_on_the_sky_is_a_row_where_pixels_are_enough() -> None:
    ours = catalogue(ra=np.full(N, np.nan), dec=np.full(N, np.nan))
    rows = {name: len(styled(ours, IMAGES, style)) for name, style in STYLES.items()}
    assert rows == {"aegean": 0, "pybdsf": 0, "sextractor": N - 1}


def test_pybdsf_lists_good_sources_only() -> None:
    flags = np.full(N, int(Flag.MASKED_PIXELS), np.int32)
    flags[4:6] = Flag.MODEL_MISMATCH
    table = styled(catalogue(flags=flags), IMAGES, STYLES["pybdsf"])
    assert len(table) == N - 1 - 2


@pytest.mark.parametrize("flag", FLAG_WORDS)
def test_what_is_good_here_is_good_there(flag: Flag) -> None:
    ours = catalogue(flags=np.full(N, int(flag), np.int32), n_components=np.ones(N, np.int32))
    good = not flag & GOOD
    aegean = styled(ours, IMAGES, STYLES["aegean"])["flags"]
    assert set((np.asarray(aegean) & ~(32 | 64) == 0).tolist()) == {good}
    sextractor = styled(ours, IMAGES, STYLES["sextractor"])["FLAGS"]
    assert set((np.asarray(sextractor) < 4).tolist()) == {good}


def test_sextractor_flags_mean_what_its_manual_says() -> None:
    flags = [0, Flag.NEIGHBOUR_IN_CUTOUT, 0, Flag.SATURATED, Flag.EDGE_TRUNCATED]
    flags += [Flag.MASKED_PIXELS, Flag.MODEL_MISMATCH, Flag.SATURATED | Flag.MAX_ITERATIONS]
    parts = np.array([1, 1, 1, 2, 1, 1, 1, 1], np.int32)
    ours = catalogue(flags=np.array(flags, np.int32), n_components=parts)
    found = styled(ours, IMAGES, STYLES["sextractor"])["FLAGS"]
    assert found.tolist() == [0, 1, 4 + 2, 8, 1, 16, 4 + 16]


def test_sextractor_text_is_read_as_sextractor_text(tmp_path: Path) -> None:
    ours, path = catalogue(mag=np.full(N, np.nan)), tmp_path / "found.txt"
    style = STYLES["sextractor"]
    write_styled(styled(ours, IMAGES, style), IMAGES, style, path)
    table = texts.read(path, format="sextractor")
    assert table.colnames == [column.name for column in style.columns]
    # Ten digits are written.
    np.testing.assert_allclose(table["X_IMAGE"], with_fit(ours["x"]) + 1, rtol=1e-9)
    np.testing.assert_allclose(table["FLUX_AUTO"], with_fit(ours["flux_int"]), rtol=1e-9)
    fwhm_over_sigma = with_fit(ours["maj_pix"]) / np.asarray(table["A_IMAGE"])
    np.testing.assert_allclose(fwhm_over_sigma, 2.35482, rtol=1e-5)
    assert table["NUMBER"].tolist() == list(range(1, N))
    assert (table["MAG_AUTO"] == 99.0).all()
    assert str(table["ERRX2WIN_IMAGE"].unit) == "pix2"
    assert np.loadtxt(path).shape == (N - 1, len(style.columns))


def test_pybdsf_text_is_read_as_pybdsf_text(tmp_path: Path) -> None:
    code = np.array([0.0, 1.0, 0.0, 2.0, np.nan, 0.0, 0.0, 0.0])
    major = np.where(code < 2, 0.5, np.nan)
    minor = np.where(code < 1, 0.5, np.nan)
    ours = catalogue(deconv_code=code, maj_axis_deconv_err=major, min_axis_deconv_err=minor)
    path, style = tmp_path / "gaul.csv", STYLES["pybdsf"]
    write_styled(styled(ours, IMAGES, style), IMAGES, style, path)
    lines = path.read_text().splitlines()
    assert lines[0] == "# Gaussian list for field_é.fits"
    assert lines[2].endswith("image: 1.40000e+09 Hz")
    assert lines[5].startswith("# Gaus_id, Isl_id, Source_id, Wave_id, RA, E_RA, ")
    table = pd.read_csv(path, skiprows=5, skipinitialspace=True)
    np.testing.assert_array_equal(table["RA"], with_fit(ours["ra"]))
    np.testing.assert_allclose(table["Maj"] * 3600, with_fit(ours["maj_axis"]))
    np.testing.assert_array_equal(table["Xposn"], with_fit(ours["x"]))
    resolved = with_fit(ours["maj_axis_deconv"])
    wanted = np.where(with_fit(code) == 2, 0, resolved)
    wanted[np.isnan(with_fit(code))] = np.nan
    np.testing.assert_allclose(table["DC_Maj"] * 3600, wanted)
    limited = with_fit(code) >= 1
    assert (table["DC_Min"][limited] == 0).all()
    np.testing.assert_allclose(
        table["E_DC_Min"][limited] * 3600, with_fit(ours["min_axis_err"])[limited]
    )
    assert set(table["S_Code"]) <= {"S", "C"}


@pytest.mark.parametrize(
    ("style", "suffix"),
    [
        (style, suffix)
        for style in STYLES
        for suffix in (".fits", ".vot", ".ecsv", ".parquet", ".csv")
        if suffix not in STYLES[style].writers
    ],
)
def test_every_format_holds_every_column(style: str, suffix: str, tmp_path: Path) -> None:
    table, path = styled(catalogue(), IMAGES, STYLES[style]), tmp_path / f"styled{suffix}"
    write_styled(table, IMAGES, STYLES[style], path)
    written = Table.read(path)
    assert written.colnames == [column.name for column in STYLES[style].columns]
    flux = table.colnames.index(
        {"aegean": "int_flux", "pybdsf": "Total_flux"}.get(style, "FLUX_AUTO")
    )
    np.testing.assert_array_equal(written.columns[flux], table.columns[flux])


@pytest.mark.parametrize("style", STYLES)
def test_the_image_is_a_last_column_where_there_are_several(style: str, tmp_path: Path) -> None:
    names = np.where(np.arange(N) % 2, "field_é.fits", "two, words.fits")
    several = IMAGES | {"two, words.fits": Observed(None, None)}
    table = styled(catalogue(image=names), several, STYLES[style])
    assert table.colnames[-1] == "image"
    if style == "pybdsf":
        write_styled(table, several, STYLES[style], tmp_path / "styled.csv")
        read = pd.read_csv(tmp_path / "styled.csv", skiprows=5, skipinitialspace=True)
        assert list(read["image"]) == list(with_fit(names))
    if style == "sextractor":
        write_styled(table, several, STYLES[style], tmp_path / "styled.cat")
        read = texts.read(tmp_path / "styled.cat", format="sextractor")
        assert list(read["image"]) == [name.replace(" ", "_") for name in with_fit(names)]


def test_formats_that_need_our_own_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no table format '\.reg' in the style of PyBDSF"):
        check_styled_target(tmp_path / "a.reg", STYLES["pybdsf"])
    with pytest.raises(InputError, match=r"no table format '\.txt' in the style of Aegean"):
        check_styled_target(tmp_path / "a.txt", STYLES["aegean"])
    with pytest.raises(InputError, match="is not a folder"):
        check_styled_target(tmp_path / "none" / "a.cat", STYLES["sextractor"])


@with_data
@pytest.mark.shared
def test_columns_are_those_of_the_programs_themselves() -> None:
    stem = DATA / "scorpio_atca_extended"
    aegean = pd.read_csv(f"{stem}.aegean_comp.csv").columns
    gaul = pd.read_csv(f"{stem}.pybdsf_gaul.csv", skiprows=5, skipinitialspace=True).columns
    assert [column.name for column in STYLES["aegean"].columns] == list(aegean)
    assert [column.name for column in STYLES["pybdsf"].columns] == [
        name.removeprefix("# ") for name in gaul
    ]
