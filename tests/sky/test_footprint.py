"""The piece of sky under an image, judged by astropy's separations."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits

from surveyfit.sky.footprint import footprint_of
from surveyfit.sky.world import World


def world(ra=150.0, dec=2.0, step=1.0, projection="TAN", nx=300, ny=200):
    """Return the coordinates of an image with pixels of `step` arcsec."""
    return World(
        fits.Header(
            {"NAXIS": 2, "NAXIS1": nx, "NAXIS2": ny}
            | {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"}
            | {"CRVAL1": ra, "CRVAL2": dec, "CRPIX1": (nx + 1) / 2, "CRPIX2": (ny + 1) / 2}
            | {"CDELT1": -step / 3600, "CDELT2": step / 3600}
        )
    )


@pytest.mark.parametrize("at", [(150.0, 2.0), (0.0, -40.0), (200.0, 89.99), (10.0, -90.0)])
@pytest.mark.parametrize("step", [0.2, 60.0])
def test_the_circle_holds_every_pixel_and_is_hardly_wider(at, step):
    here = world(*at, step)
    found = footprint_of(here, (200, 300))
    x, y = np.random.default_rng(1).uniform([-0.5, -0.5], [299.5, 199.5], (500, 2)).T
    x, y = np.append(x, [-0.5, 299.5]), np.append(y, [-0.5, 199.5])
    where = here.positions(x, y)
    centre = SkyCoord(found.ra, found.dec, unit="deg")
    away = centre.separation(SkyCoord(where.ra, where.dec, unit="deg")).deg
    assert away.max() <= found.radius < 1.06 * away.max()
    assert centre.separation(SkyCoord(*at, unit="deg")) < 2 * step * u.arcsec


def test_corners_are_those_of_the_outer_pixels():
    here = world()
    corners = np.reshape(footprint_of(here, (200, 300)).corners, (4, 2))
    x, y = here.pixels(*corners.T)
    np.testing.assert_allclose(x, [-0.5, 299.5, 299.5, -0.5], atol=1e-3)
    np.testing.assert_allclose(y, [-0.5, -0.5, 199.5, 199.5], atol=1e-3)


def test_a_map_of_the_whole_sky_has_a_circle_of_180_degrees_and_corners_beyond_it():
    found = footprint_of(world(step=3600.0, projection="AIT", dec=0.0, nx=360, ny=180), (180, 360))
    assert found.radius == 180
    assert np.isnan(found.corners).all()


def test_without_sky_positions_there_is_no_footprint():
    assert footprint_of(World(fits.Header({"NAXIS": 2})), (10, 10)) is None
