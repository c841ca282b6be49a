"""Detection, cutting and storing: right sources, right pixels, the same for every tiling."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from surveyfit.schema import Flag
from surveyfit.sky.box import Box
from surveyfit.sky.cutouts import SIDES, Plane, cut
from surveyfit.sky.detect import Detections, detect
from surveyfit.sky.kernel import FWHM_TO_SIGMA
from surveyfit.sky.reader import Pixels
from surveyfit.sky.sources import CutoutGroup, Sources
from surveyfit.sky.store import RunStores, read_cutouts, write_cutouts

NOISE = 2.0
FACTOR = 0.27
SHAPE = (300, 400)
STARS = [(50.2, 60.7, 40.0), (200.0, 150.0, 100.0), (352.4, 250.9, 20.0), (3.0, 100.0, 60.0)]
"""x, y, peak in sigmas; the last is cut by the edge."""


def image(seed: int = 1) -> NDArray[np.float32]:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = np.random.default_rng(seed).normal(10, NOISE, SHAPE)
    for x0, y0, peak in STARS:
        data += NOISE * peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 1.5**2))
    return data.astype(np.float32)


def plane(data: NDArray[np.float32], box: Box | None = None, saturate: float = np.inf) -> Plane:
    box = box or Box(0, SHAPE[0], 0, SHAPE[1])
    values = data[box.slices]
    pixels = Pixels(values, ~np.isfinite(values), values >= saturate, None, None)
    level = np.full(values.shape, 10, np.float32)
    return Plane(box, SHAPE, pixels, level, np.full(values.shape, NOISE, np.float32))


def found(piece: Plane, thresh: float = 5.0, factor: float = FACTOR) -> Detections:
    return detect(
        piece.subtracted,
        piece.noise,
        piece.pixels.mask,
        thresh=thresh,
        filter_factor=factor,
        filter_fwhm=2.5,
    )


def cutouts(piece: Plane, core: Box | None = None) -> list[CutoutGroup]:
    return cut(piece, found(piece), core or piece.box, 2.5 * FWHM_TO_SIGMA)


def all_sources(groups: list[CutoutGroup]) -> Sources:
    return Sources.from_array(np.concatenate([g.sources.to_array() for g in groups]))


def test_all_stars_are_found_and_nothing_else() -> None:
    sources = all_sources(cutouts(plane(image())))
    peaks = {(int(x), int(y)) for x, y in zip(sources.peak_x, sources.peak_y, strict=True)}
    expected = {(round(x), round(y)) for x, y, _ in STARS}
    assert len(peaks) == len(expected)
    for x, y in expected:
        assert min(abs(x - px) + abs(y - py) for px, py in peaks) <= 1


def test_noise_alone_gives_next_to_no_source() -> None:
    noise = np.random.default_rng(3).normal(10, NOISE, (1000, 1000)).astype(np.float32)
    piece = Plane(
        Box(0, 1000, 0, 1000),
        (1000, 1000),
        Pixels(noise, np.zeros(noise.shape, bool), np.zeros(noise.shape, bool), None, None),
        np.full(noise.shape, 10, np.float32),
        np.full(noise.shape, NOISE, np.float32),
    )
    # 1e6 pixels, about 1e5 independent ones after the filter: 0.03 expected above 5 sigmas.
    assert len(found(piece).objects) <= 1


def test_correlated_noise_is_thresholded_without_the_filter() -> None:
    piece = plane(image())
    # With a factor of 0.9 the image itself must pass 5 sigmas, not 4.5 after the filter.
    brightest_pixel = found(piece, factor=0.9).objects["peak"]
    assert (brightest_pixel >= 5 * NOISE).all()


def test_cutouts_are_the_pixels_of_the_image() -> None:
    data = image()
    for group in cutouts(plane(data)):
        corners = zip(group.sources.corner_x, group.sources.corner_y, strict=True)
        for pixels, (x, y) in zip(group.pixels, corners, strict=True):
            for row, col in np.argwhere(np.isfinite(pixels)):
                assert pixels[row, col] == data[int(y) + row, int(x) + col]


def test_pixels_outside_the_image_are_not_used_and_flagged() -> None:
    groups = cutouts(plane(image()))
    group = next(g for g in groups if (g.sources.peak_x < 10).any())
    row = int(np.argmin(group.sources.peak_x))
    outside = int(-group.sources.corner_x[row])
    assert outside > 0
    assert np.isnan(group.pixels[row, :, :outside]).all()
    assert int(group.sources.sky_flags[row]) & Flag.EDGE_TRUNCATED
    others = np.delete(group.sources.sky_flags.astype(int), row)
    assert not (others & Flag.EDGE_TRUNCATED).any()


def test_the_background_s_variation_is_removed_and_its_level_kept() -> None:
    data = image()
    slope = np.linspace(0, 100, SHAPE[1], dtype=np.float32)[None, :].repeat(SHAPE[0], 0)
    level, tilted = plane(data), plane(data + slope)
    tilted = Plane(tilted.box, SHAPE, tilted.pixels, level.background + slope, level.noise)
    flat, flattened = cutouts(level), cutouts(tilted)
    for a, b in zip(flat, flattened, strict=True):
        at_peak = slope[a.sources.peak_y.astype(int), a.sources.peak_x.astype(int)]
        np.testing.assert_allclose(b.pixels - at_peak[:, None, None], a.pixels, atol=1e-4 * NOISE)
        np.testing.assert_allclose(b.sources.local_bkg, 10 + at_peak, rtol=1e-6)


def test_a_neighbour_is_masked_and_told() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = image() + (80 * np.exp(-((x - 212) ** 2 + (y - 150) ** 2) / 4.5)).astype(np.float32)
    groups = cutouts(plane(data))
    group = next(g for g in groups if (np.abs(g.sources.peak_x - 200) < 2).any())
    row = int(np.argmin(np.abs(group.sources.peak_x - 200)))
    at = 150 - int(group.sources.corner_y[row]), 212 - int(group.sources.corner_x[row])
    assert np.isnan(group.pixels[row][at])
    assert int(group.sources.sky_flags[row]) & Flag.NEIGHBOUR_IN_CUTOUT


def test_saturated_pixels_are_left_out_and_told() -> None:
    groups = cutouts(plane(image(), saturate=150))
    group = next(g for g in groups if (np.abs(g.sources.peak_x - 200) < 3).any())
    row = int(np.argmin(np.abs(group.sources.peak_x - 200)))
    assert np.nanmax(group.pixels[row]) < 150
    flags = group.sources.sky_flags.astype(int)
    assert flags[row] & Flag.SATURATED
    assert not (np.delete(flags, row) & Flag.SATURATED).any()


def test_every_source_has_one_owner_and_the_same_start_in_every_tiling() -> None:
    data = image()
    whole = {tuple(row) for row in all_sources(cutouts(plane(data))).to_array()}
    pieces = []
    for x0, x1 in ((0, 130), (130, 260), (260, 400)):
        core = Box(0, SHAPE[0], x0, x1)
        pieces += cutouts(plane(data, core.grow(128, SHAPE)), core)
    tiled = [tuple(row) for row in all_sources(pieces).to_array()]
    assert len(tiled) == len(whole)
    np.testing.assert_allclose(sorted(tiled), sorted(whole), rtol=1e-5, atol=1e-4)


def test_the_start_is_near_the_truth() -> None:
    sources = all_sources(cutouts(plane(image())))
    for x, y, peak in STARS[:3]:
        row = np.argmin(np.hypot(sources.peak_x - x, sources.peak_y - y))
        assert sources.corner_x[row] + sources.x[row] == pytest.approx(x, abs=0.3)
        assert sources.corner_y[row] + sources.y[row] == pytest.approx(y, abs=0.3)
        assert sources.amp[row] == pytest.approx(peak * NOISE, rel=0.3)
        assert sources.sigma[row] == pytest.approx(1.5, rel=0.25)


def test_the_aperture_holds_the_flux_of_a_bright_star() -> None:
    sources = all_sources(cutouts(plane(image())))
    row = np.argmin(np.hypot(sources.peak_x - 200, sources.peak_y - 150))
    truth = 100 * NOISE * 2 * np.pi * 1.5**2
    # Three sigmas hold 98.9 %; the noise in the circle is 1.3 %.
    assert sources.aperture[row] == pytest.approx(truth, rel=0.04)


def test_cutouts_survive_the_store(tmp_path: Path) -> None:
    stores = RunStores.of(tmp_path)
    stores.create()
    groups = cutouts(plane(image()))
    with_noise = [CutoutGroup(g.side, g.pixels, np.abs(g.pixels), g.sources) for g in groups]
    for written in (groups, with_noise):
        write_cutouts(stores.cutouts, "image", "tile", written)
        back = read_cutouts(stores.cutouts, "image", "tile")
        assert [g.side for g in back] == [s for s in SIDES if s in {g.side for g in written}]
        for a, b in zip(written, back, strict=True):
            np.testing.assert_array_equal(a.pixels, b.pixels)
            np.testing.assert_array_equal(a.sources.to_array(), b.sources.to_array())
            assert (a.noise is None) == (b.noise is None)


def test_a_flipped_bit_in_the_store_is_noticed(tmp_path: Path) -> None:
    stores = RunStores.of(tmp_path)
    stores.create()
    write_cutouts(stores.cutouts, "image", "tile", cutouts(plane(image())))
    shard = max(stores.cutouts.rglob("c.0.0.0"), key=lambda p: p.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0x10
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        read_cutouts(stores.cutouts, "image", "tile")
