"""The table of images, from what is committed of each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from surveyfit.run.directory import Receipt
from surveyfit.run.primary import Contender
from surveyfit.sky.find import printable

OF_HEADER = (
    "pixel_scale",
    "telescope",
    "instrument",
    "object",
    "unit",
    "zeropoint",
    "epoch_mjd",
    "epoch_mid_mjd",
    "filter",
    "frequency",
    "exposure",
    "gain",
)
"""Columns that are facts of the header (`surveyfit.sky.header.Facts`)."""


@dataclass
class ImageSums:
    """Of the pieces of an image: its parts, tiles fitted, rows of each kind, working time."""

    parts: list[str] = field(default_factory=list)
    tiles: set[str] = field(default_factory=set)
    rows: int = 0
    good: int = 0
    secondary: int = 0
    seconds: float = 0.0

    def add(self, fitted: Receipt) -> None:
        """Count a part."""
        result = fitted["result"]
        self.parts.append(result["part"])
        self.tiles.update(fitted["tiles"])
        self.rows += result["rows"]
        self.good += result["good"]
        self.secondary += result["secondary"]
        self.seconds += fitted["seconds"]


def sum_up(cut: Iterable[Receipt], fitted: Iterable[Receipt]) -> dict[str, ImageSums]:
    """Add up, by the key of the image, the receipts of cut tiles and of fitted batches."""
    sums: defaultdict[str, ImageSums] = defaultdict(ImageSums)
    for receipt in cut:
        sums[receipt["image"]].seconds += receipt["seconds"]
    for receipt in fitted:
        sums[receipt["image"]].add(receipt)
    return dict(sums)


def image_rows(
    measured: Sequence[Receipt],
    ranked: Mapping[str, Contender],
    sums: Mapping[str, ImageSums],
) -> list[dict[str, Any]]:
    """Return the rows of the table of images (`surveyfit.sky.image_table`).

    Parameters
    ----------
    measured : sequence of Receipt
        Of the noise of each image.
    ranked : mapping of str to Contender
    sums : mapping of str to ImageSums
        By the key of the image; of one of which nothing was cut there need be none.
    """
    return [
        _row(receipt, ranked[receipt["image"]], sums.get(receipt["image"], ImageSums()))
        for receipt in measured
    ]


def _row(measured: Receipt, ranked: Contender, sums: ImageSums) -> dict[str, Any]:
    result = measured["result"]
    image, facts = result["image"], result["facts"]
    beam, place = facts["beam"] or {}, result["footprint"] or {}
    return {
        "image": image["name"],
        "path": printable(image["path"]),
        "hdu": image["hdu"],
        "extname": image["ext"],
        "digest": image["digest"],
        "ny": image["shape"][0],
        "nx": image["shape"][1],
        **{name: place.get(name) for name in ("ra", "dec", "radius", "corners")},
        **{name: facts[name] for name in OF_HEADER},
        "beam_maj": beam.get("major"),
        "beam_min": beam.get("minor"),
        "beam_pa": beam.get("pa"),
        "background": result["background"],
        "noise": result["noise"],
        "band": ranked.band,
        "depth": None if ranked.depth is None else ranked.depth.noise,
        "n_tiles": len(sums.tiles),
        "n_sources": sums.rows,
        "n_good": sums.good,
        "n_primary": sums.rows - sums.secondary,
        "seconds": measured["seconds"] + sums.seconds,
    }
