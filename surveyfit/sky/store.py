"""What a run stores beside its catalogue: cutouts by image, tile and side; noise grids by image.

Cutouts lie in a zarr store: one writer a tile, whole shards, crc32c as the last codec so that a
flipped bit is noticed, NaN as fill value and empty chunks written so that a lost chunk is not read
as zeros.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from surveyfit.sky.atomic import (
    file_digest,
    noticing_full_disk,
    replacing,
    replacing_folder,
    settle,
    settle_file,
)
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.cutouts import SIDES
from surveyfit.sky.sources import SOURCE_FIELDS, CutoutGroup, Sources

METADATA = "zarr.json"

CHUNK = 256
"""Cutouts an inner chunk: 1 MiB at a side of 32."""

_LAYOUT = {
    "pixels": "(n, side, side) float32, image units, y before x; NaN = not used. The variation of "
    "the background map across the cutout is removed, its level at the peak pixel is left in",
    "noise": "(n, side, side) 1-sigma noise of each pixel; only where a noise image was given",
    "sources": "(n, fields) what was known before the fit; the names are in 'fields'. x, y, amp, "
    "sigma, rho, diff, bkg are the fit's start, x and y from the cutout's first pixel",
}


@dataclass(frozen=True)
class RunStores:
    """Paths of the stores of a run: ``cutouts`` is zarr, ``noise`` a folder of ``IMAGE.npz``."""

    cutouts: Path
    noise: Path

    @classmethod
    def of(cls, run: Path) -> "RunStores":
        """Return the stores of a run directory."""
        return cls(run / "cutouts.zarr", run / "noise")

    def create(self) -> None:
        """Make both, before any worker starts; what they hold is kept."""
        with noticing_full_disk(self.cutouts):
            _make_group(self.cutouts, "", {"layout": "IMAGE/TILE/SIDE/pixels", "arrays": _LAYOUT})
            self.noise.mkdir(exist_ok=True)

    def remove(self, image: str) -> None:
        """Delete what is stored of an image, if anything."""
        grid_path(self.noise, image).unlink(missing_ok=True)
        if (self.cutouts / image).exists():
            shutil.rmtree(self.cutouts / image)

    @property
    def metadata(self) -> Path:
        """The file that says what the zarr store holds."""
        return self.cutouts / METADATA


def write_cutouts(store: Path, image: str, tile: str, groups: list[CutoutGroup]) -> dict[Path, str]:
    """Write all cutouts of a tile, replacing what an earlier attempt left.

    They are written elsewhere and put in their place whole, since a task that Dask repeats may run
    twice at the same time.

    Returns
    -------
    dict of Path to str
        SHA-256 of all files of the tile; they are on the disk when this returns.

    Raises
    ------
    DiskFullError
        If there is no room.
    """
    place = store / image / tile
    with noticing_full_disk(place):
        place.parent.mkdir(exist_ok=True)
    # Beside the store, in which zarr would take an unfinished tile for one of the image's.
    with replacing_folder(place, scratch=store.parent) as temporary:
        node = zarr.open_group(temporary, mode="w")
        for group in groups:
            side = node.create_group(str(group.side), attributes={"fields": list(SOURCE_FIELDS)})
            _write(side, "pixels", group.pixels)
            if group.noise is not None:
                _write(side, "noise", group.noise)
            _write(side, "sources", group.sources.to_array())
        digests = settle(temporary)
    return {place / path.relative_to(temporary): digest for path, digest in digests.items()}


def make_place(store: Path, image: str) -> dict[Path, str]:
    """Make the group of an image's tiles; tiles that are there are kept. SHA-256 of its file."""
    with noticing_full_disk(store):
        return {(path := _make_group(store, image, {})): settle_file(path)}


def _make_group(store: Path, name: str, attributes: dict[str, Any]) -> Path:
    """Make the file that describes a group, also in the place of a damaged one."""
    path = store / name / METADATA
    path.unlink(missing_ok=True)
    zarr.open_group(store, path=name, mode="a", attributes=attributes)
    return path


def _write(node: zarr.Group, name: str, values: NDArray[Any]) -> None:
    n = len(values)
    chunk = min(n, CHUNK)
    # A shard of one chunk would only cost time.
    shards = (-(-n // chunk) * chunk, *values.shape[1:]) if n > chunk else None
    array = node.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(chunk, *values.shape[1:]),
        shards=shards,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        fill_value=np.nan,
        # Files c.0.0.0 instead of folders c/0/0: every folder costs a wait for the disk.
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    array[...] = values


def read_cutouts(store: Path, image: str, tile: str) -> list[CutoutGroup]:
    """Read back all cutouts of a tile, smallest side first."""
    node = zarr.open_group(store, path=f"{image}/{tile}", mode="r")
    return [_read_side(node[str(side)], side) for side in SIDES if str(side) in node]


def _read_side(node: Any, side: int) -> CutoutGroup:
    return CutoutGroup(
        side=side,
        pixels=node["pixels"][...],
        noise=node["noise"][...] if "noise" in node else None,
        sources=Sources.from_array(node["sources"][...]),
    )


def grid_path(folder: Path, image: str) -> Path:
    """Return where the noise grid of an image lies."""
    return folder / f"{image}.npz"


def write_grid(folder: Path, image: str, grid: NoiseGrid) -> dict[Path, str]:
    """Write what was measured of an image's noise; returns and raises as `write_cutouts` does."""
    path = grid_path(folder, image)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **asdict(grid))
    return {path: file_digest(path)}


def read_grid(folder: Path, image: str) -> NoiseGrid:
    """Read back what `write_grid` wrote."""
    with np.load(grid_path(folder, image)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return NoiseGrid(**arrays | {"filter_factor": float(arrays["filter_factor"])})
