"""The simulated survey: what the truth table says must be what the pixels hold."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from surveyfit.errors import InputError
from surveyfit.sky.artificial import READ_NOISE, SKY
from surveyfit.sky.simulate import PIXEL_SCALE, simulate

SIZE = 256
SOURCES = 60
SOURCE_LIGHT = 20.0
"""Electrons: as much as the noise of an empty pixel, so that sources are what is judged."""


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    simulate(folder, images=2, size=SIZE, sources=SOURCES, seed=3)
    return folder


def rows_of(folder, table, image):
    rows = Table.read(folder / f"{table}.csv")
    return rows[rows["image"] == image]


def model_image(truth):
    """Every source over the whole image: rotate into its axes, no matrices, no stamps."""
    y, x = np.mgrid[:SIZE, :SIZE]
    model = np.full((SIZE, SIZE), SKY)
    for source in truth:
        angle = np.radians(source["theta_deg"])
        dx, dy = x - source["x"], y - source["y"]
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        halves = (2 * along / source["fwhm_maj"]) ** 2 + (2 * across / source["fwhm_min"]) ** 2
        model += source["amp"] * 0.5**halves
    return model


def surprise(folder, image, truth, at_least=0.0):
    """Say how many sigmas mean and spread of (image - model) / noise are off 0 and 1.

    Over pixels with this much light of sources that neither mask nor cosmic rays touch.
    """
    model = model_image(truth)
    with fits.open(folder / image) as hdus:
        pixels, bad = hdus[0].data.astype(float), hdus["MASK"].data > 0
    hits = rows_of(folder, "cosmic_rays", image)
    bad[hits["y"], hits["x"]] = True
    pulls = ((pixels - model) / np.sqrt(model + READ_NOISE**2))[~bad & (model - SKY >= at_least)]
    return abs(pulls.mean()) * pulls.size**0.5, abs(pulls.std() - 1) * (2 * pulls.size) ** 0.5


@pytest.mark.parametrize("image", ["sky_0001.fits", "sky_0002.fits"])
@pytest.mark.parametrize("at_least", [0.0, SOURCE_LIGHT])
def test_the_truth_describes_the_pixels(survey, image, at_least):
    truth = rows_of(survey, "truth", image)
    # Measured: up to 2.2; the slips of the next test give 5.4 to 22.
    assert max(surprise(survey, image, truth, at_least)) < 4


@pytest.mark.parametrize("image", ["sky_0001.fits", "sky_0002.fits"])
@pytest.mark.parametrize(
    ("column", "slip"), [("x", 0.1), ("theta_deg", 10.0), ("fwhm_min", 0.1), ("amp", 20.0)]
)
def test_a_slip_in_the_truth_would_be_seen(survey, image, column, slip):
    truth = rows_of(survey, "truth", image)
    truth[column] += slip
    assert max(surprise(survey, image, truth, SOURCE_LIGHT)) > 4


def test_flux_is_the_integral_of_the_gaussian(survey):
    truth = Table.read(survey / "truth.csv")
    integral = np.pi / (4 * np.log(2)) * truth["amp"] * truth["fwhm_maj"] * truth["fwhm_min"]
    np.testing.assert_allclose(truth["flux"], integral, rtol=1e-12)  # rounding only


def test_sky_positions_are_those_of_the_header(survey):
    for image in ("sky_0001.fits", "sky_0002.fits"):
        truth = rows_of(survey, "truth", image)
        sky = WCS(fits.getheader(survey / image)).pixel_to_world(truth["x"], truth["y"])
        # Header cards keep 12 digits of a right ascension near 150: 1e-10 degrees.
        np.testing.assert_allclose(sky.ra.deg, truth["ra"], atol=1e-9, rtol=0)
        np.testing.assert_allclose(sky.dec.deg, truth["dec"], atol=1e-9, rtol=0)


def test_fields_lie_side_by_side(survey):
    headers = [fits.getheader(survey / f"sky_000{i}.fits") for i in (1, 2)]
    centres = [SkyCoord(h["CRVAL1"], h["CRVAL2"], unit="deg") for h in headers]
    width = SIZE * PIXEL_SCALE
    # A great circle is shorter than the parallel between them by 1e-10 of it.
    assert centres[0].separation(centres[1]).arcsec == pytest.approx(width, rel=1e-6)


def test_nearest_is_the_smallest_distance_by_brute_force(survey):
    truth = rows_of(survey, "truth", "sky_0001.fits")
    x, y = np.array(truth["x"]), np.array(truth["y"])
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(truth["nearest_pix"], distance.min(axis=1), rtol=1e-12)


def test_cosmic_rays_are_in_the_pixels_and_not_in_the_mask(survey):
    hits = rows_of(survey, "cosmic_rays", "sky_0001.fits")
    assert len(hits) > 0
    with fits.open(survey / "sky_0001.fits") as hdus:
        pixels, mask = hdus[0].data, hdus["MASK"].data
    assert np.unique(np.nonzero(mask)[1]).size == 1  # one dead column, nothing else
    alive = mask[hits["y"], hits["x"]] == 0
    assert (pixels[hits["y"], hits["x"]] > SKY)[alive].all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    def contents(folder, **options):
        simulate(tmp_path / folder, size=64, sources=5, **options)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}

    first = contents("a", images=1, seed=1)
    assert contents("a", images=1, seed=1) == first  # and it may be written again
    assert contents("b", images=2, seed=1)["sky_0001.fits"] == first["sky_0001.fits"]
    assert contents("c", images=1, seed=2)["sky_0001.fits"] != first["sky_0001.fits"]


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.fits").write_text("precious")
    with pytest.raises(InputError, match=r"mine\.fits"):
        simulate(tmp_path, images=1, size=64, sources=5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.fits"]


@pytest.mark.parametrize("sources", [0, 1])
def test_few_sources_are_no_special_case(tmp_path, sources):
    simulate(tmp_path, images=1, size=64, sources=sources)
    assert len(Table.read(tmp_path / "truth.csv")) == sources
