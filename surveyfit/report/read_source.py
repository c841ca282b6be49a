"""A source of a run read back from its cutouts and, where it still is there, from its image."""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.report.find_source import Part, Place, committed, find_sources, rows_within
from surveyfit.report.source_view import SourceView
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.measure import source_ids
from surveyfit.run.pieces import Stage, noise_piece
from surveyfit.run.tasks import opened
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.box import Box
from surveyfit.sky.image import Image
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.sources import Sources
from surveyfit.sky.store import read_grid

SAME = 1e-3
"""In noises: an image whose pixels differ more from the cutout has changed since."""

UNREADABLE = "the image cannot be read any more"


class _Cutout(NamedTuple):
    """What is stored of one source; ``noise`` is None where no noise image was given."""

    corner: tuple[int, int]
    peak: tuple[int, int]
    pixels: NDArray[np.float32]
    noise: NDArray[np.float32] | None

    @property
    def box(self) -> Box:
        """Where it lies in the image; it may reach beyond."""
        (x, y), side = self.corner, len(self.pixels)
        return Box(y, y + side, x, x + side)


def read_source(directory: RunDirectory, wanted: int | str) -> SourceView:
    """Read one source; see `read_sources`."""
    return read_sources(directory, [wanted])[0]


def read_sources(directory: RunDirectory, wanted: Sequence[int | str]) -> list[SourceView]:
    """Read sources with their pixels, model and neighbours, each image opened once.

    Parameters
    ----------
    directory : RunDirectory
    wanted : sequence of int or str
        As for `find_sources`.

    Returns
    -------
    list of SourceView
        In the order of ``wanted``.

    Raises
    ------
    InputError
        If there is no such source, or its cutouts are gone.
    """
    places = find_sources(directory, wanted)
    config = Config.from_dict(directory.record()["configuration"])
    parts = committed(directory)
    order = sorted(range(len(places)), key=lambda i: places[i].image)
    views: dict[int, SourceView] = {}
    for key, indices in groupby(order, key=lambda i: places[i].image):
        image = _measured_image(directory, key)
        with ExitStack() as stack:
            reader = _open(image, config, stack)
            grid = read_grid(directory.stores.noise, key)
            for i in indices:
                cutout = _cutout(directory, places[i], image)
                views[i] = _view(places[i], image, cutout, parts, config, reader, grid)
    return [views[i] for i in range(len(places))]


def _measured_image(directory: RunDirectory, key: str) -> Image:
    receipt = directory.read_receipt(directory.receipts / f"{Stage.NOISE}-{key}.json")
    return Image.from_dict(receipt["result"]["image"])


def _open(image: Image, config: Config, stack: ExitStack) -> ImageReader | str:
    """Open an image with its companions; where that is not possible any more, return the reason."""
    try:
        return stack.enter_context(opened(noise_piece(image, config), config))
    except (InputError, OSError) as error:
        return f"{UNREADABLE} ({error})"


def _cutout(directory: RunDirectory, place: Place, image: Image) -> _Cutout:
    """Find the cutout of a row: its peak pixel and the image give the row's identifier."""
    tile = place.row["tile"]
    try:
        groups = zarr.open_group(directory.stores.cutouts, path=f"{place.image}/{tile}", mode="r")
        for _, group in groups.groups():
            arrays: dict[str, Any] = dict(group.arrays())
            sources = Sources.from_array(arrays["sources"][...])
            ids = source_ids(image, sources.peak_x, sources.peak_y)
            for i in np.flatnonzero(ids == place.row["source_id"]):
                return _Cutout(
                    corner=(int(sources.corner_x[i]), int(sources.corner_y[i])),
                    peak=(int(sources.peak_x[i]), int(sources.peak_y[i])),
                    pixels=arrays["pixels"][i],
                    noise=arrays["noise"][i] if "noise" in arrays else None,
                )
    except (OSError, KeyError, ValueError) as error:  # zarr's errors of what is lost or damaged
        raise _no_cutout(directory, place) from error
    raise _no_cutout(directory, place)


def _no_cutout(directory: RunDirectory, place: Place) -> InputError:
    where = directory.stores.cutouts / place.image / place.row["tile"]
    return InputError(
        f"{where}: the cutout of {place.row['source_id']} is missing or damaged",
        f"'surveyfit verify {directory.path} --repair', then submit again",
    )


def _view(
    place: Place,
    image: Image,
    cutout: _Cutout,
    parts: Sequence[Part],
    config: Config,
    reader: ImageReader | str,
    grid: NoiseGrid,
) -> SourceView:
    row, box = place.row, cutout.box
    mask = np.isnan(cutout.pixels)
    data, note = cutout.pixels, reader if isinstance(reader, str) else ""
    jacobian = np.full((2, 2), np.nan)
    if isinstance(reader, ImageReader):
        jacobian = reader.world.positions(*map(np.atleast_1d, cutout.peak)).jacobian[0]
        data, note = _with_unused_pixels(reader, grid, cutout, SAME * row["local_rms"])
    near = rows_within(parts, place.image, range(box.x0, box.x1), range(box.y0, box.y1))
    return SourceView(
        row=row,
        image=image,
        corner=cutout.corner,
        peak=cutout.peak,
        data=data,
        mask=mask,
        noise=_noise(cutout, row["local_rms"]),
        model_error=config.model_error,
        jacobian=jacobian,
        neighbours=tuple(n for n in near if n["source_id"] != row["source_id"]),
        note=note,
    )


def _noise(cutout: _Cutout, local: float) -> NDArray[np.float64]:
    if cutout.noise is None:
        return np.full(cutout.pixels.shape, local)
    return cutout.noise.astype(np.float64)


def _with_unused_pixels(
    reader: ImageReader, grid: NoiseGrid, cutout: _Cutout, tolerance: float
) -> tuple[NDArray[np.float32], str]:
    """Return the pixels of the image, or where it cannot give them the stored ones and why."""
    try:
        shown = _from_image(reader, grid, cutout)
    except (InputError, OSError) as error:
        return cutout.pixels, f"{UNREADABLE} ({error})"
    used = ~np.isnan(cutout.pixels)
    if np.all(np.abs(shown - cutout.pixels)[used] <= tolerance):
        return shown, ""
    return cutout.pixels, "the image has changed since"


def _from_image(reader: ImageReader, grid: NoiseGrid, cutout: _Cutout) -> NDArray[np.float32]:
    """Read a cutout with the pixels that were not used, levelled as it was when it was cut."""
    box = cutout.box
    inside = box.grow(0, reader.image.shape)
    pixels = reader.read(inside)
    background = grid.maps(inside)[0] if pixels.background is None else pixels.background
    x, y = cutout.peak
    level = background - background[y - inside.y0, x - inside.x0]
    values = np.full(box.shape, np.nan, np.float32)
    values[inside.within(box)] = pixels.data - level
    return values
