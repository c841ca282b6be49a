"""Which of the sources that several images show are primary: a division of the sky among images.

Every position belongs to one of the images that show it, whether they found a source there or not
(`surveyfit.sky.coverage`, `surveyfit.sky.bands`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from surveyfit.run.config import Config
from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.plan import tiles
from surveyfit.run.sealed import MEND, DamagedError, write_sealed
from surveyfit.sky.atomic import remove
from surveyfit.sky.bands import NO_BAND, Depth, bands, depth
from surveyfit.sky.box import Box
from surveyfit.sky.coverage import Zone, blocks_of, zone_of_blocks, zones
from surveyfit.sky.footprint import Footprint, unit_vectors
from surveyfit.sky.header import Facts
from surveyfit.sky.parts import read_columns, replaced_column, write_part
from surveyfit.sky.store import read_grid
from surveyfit.sky.world import World, world_from_cards

POSITION = ("ra", "dec", "x", "y")

OPENED = 64
"""Images whose world coordinates and coverage are held in memory: the neighbours of a few."""


class Contender(NamedTuple):
    """An image that competes with others for the sky.

    Attributes
    ----------
    key : str
    band : str
    depth : Depth or None
    rank : tuple
        The lower, the better: noise, then the content of the image, whatever its name.
    footprint : Footprint or None
    not_fitted : tuple of Box
        Cores of its tiles of which nothing is in the catalogue, since they failed.
    receipt : Receipt
        Of its noise.
    """

    key: str
    band: str
    depth: Depth | None
    rank: tuple[float, str, int, tuple[int, ...]]
    footprint: Footprint | None
    not_fitted: tuple[Box, ...]
    receipt: Receipt


class _Sky(NamedTuple):
    """Where an image has usable pixels."""

    world: World
    zones: NDArray[np.int8]


def contenders(
    measured: Sequence[Receipt], fitted: Mapping[str, Collection[str]], config: Config
) -> dict[str, Contender]:
    """Rank images by what was measured of their noise.

    Parameters
    ----------
    measured : sequence of Receipt
        Of the noise of each image.
    fitted : mapping of str to collection of str
        The labels of the fitted tiles by the key of the image.
    config : Config

    Returns
    -------
    dict of str to Contender
        By the key of the image.
    """
    facts = [Facts.from_dict(receipt["result"]["facts"]) for receipt in measured]
    noises = [receipt["result"]["noise"] for receipt in measured]
    depths = [depth(known, noise) for known, noise in zip(facts, noises, strict=True)]
    return {
        receipt["image"]: _contender(receipt, band, how_deep, fitted, config)
        for receipt, band, how_deep in zip(measured, bands(facts, depths), depths, strict=True)
    }


def _contender(
    receipt: Receipt,
    band: str,
    how_deep: Depth | None,
    fitted: Mapping[str, Collection[str]],
    config: Config,
) -> Contender:
    image, place = receipt["result"]["image"], receipt["result"]["footprint"]
    noise = np.inf if how_deep is None else how_deep.noise
    done = fitted.get(receipt["image"], ())
    planned = tiles((image["shape"][0], image["shape"][1]), config.tile, config.halo)
    return Contender(
        key=receipt["image"],
        band=band,
        depth=how_deep,
        rank=(noise, image["digest"], image["hdu"], tuple(image["plane"])),
        footprint=None if place is None else Footprint(**place),
        not_fitted=tuple(tile.core for tile in planned if tile.label not in done),
        receipt=receipt,
    )


class Primaries:
    """Settles the column ``is_primary`` of the parts of a run.

    Parameters
    ----------
    directory : RunDirectory
    images : dict of str to Contender
        All images of the run.
    """

    def __init__(self, directory: RunDirectory, images: dict[str, Contender]) -> None:
        self._directory = directory
        self._images = images
        self._rivals = overlapping(list(images.values()))
        self._sky = lru_cache(maxsize=OPENED)(self._read_sky)

    def settle(self, image: str, parts: Iterable[str], secondary: int) -> int:
        """Make the column of an image's parts what it must be.

        They are read only if another image may show some of its sources, or did at an earlier
        submit. One that changes has no receipt while it is replaced, as if it were fitted anew:
        after a kill just then it is.

        Parameters
        ----------
        image : str
            Its key.
        parts : iterable of str
            The names of their files.
        secondary : int
            Rows of them that are not primary so far.

        Returns
        -------
        int
            Rows of them that are not primary.

        Raises
        ------
        DamagedError
            If a file that is needed is not as it was committed.
        """
        if not self._rivals[image] and secondary == 0:
            return 0
        return sum(self._settle_part(self._directory.catalog / part) for part in parts)

    def _settle_part(self, part: Path) -> int:
        """Settle a part, and return how many of its rows are not primary."""
        receipt = self._directory.receipt_of(part)
        fitted = self._directory.read_receipt(receipt)
        self._check(fitted)
        rows = read_columns(part, [*POSITION, "is_primary"])
        primary = self._primary(fitted["image"], rows)
        secondary = int(np.count_nonzero(~primary))
        if np.array_equal(primary, rows["is_primary"].to_numpy()):
            return secondary
        columns, unit = replaced_column(part, "is_primary", primary)
        remove(receipt)
        digest = write_part(part, columns, unit)
        settled = fitted | {
            "result": fitted["result"] | {"secondary": secondary},
            "files": self._directory.named({part: digest}),
        }
        write_sealed(receipt, settled)
        return secondary

    def _primary(self, image: str, rows: pa.Table) -> NDArray[np.bool_]:
        """Say which rows lie where no rival shows the sky better; true without a position."""
        ra, dec, x, y = (rows[name].to_numpy() for name in POSITION)
        primary = np.ones(len(ra), bool)
        if not self._rivals[image]:
            return primary
        own, zone = self._images[image], zones(self._sky(image).zones, x, y)
        directions = unit_vectors(ra, dec)
        for rival in self._rivals[image]:
            assert rival.footprint is not None
            away = np.linalg.norm(directions - rival.footprint.vector, axis=1)
            # Most are settled by the best image: the others need not even be opened.
            contested = (rival.rank < own.rank) | (zone > Zone.INSIDE)
            near = np.flatnonzero(primary & contested & (away < _chord(rival.footprint.radius)))
            if not near.size:
                continue
            sky = self._sky(rival.key)
            theirs = zones(sky.zones, *sky.world.pixels(ra[near], dec[near]))
            better = (theirs < zone[near]) | ((theirs == zone[near]) & (rival.rank < own.rank))
            primary[near] = (theirs == Zone.OUTSIDE) | ~better
        return primary

    def _read_sky(self, key: str) -> _Sky:
        image = self._images[key]
        self._check(image.receipt)
        covered = read_grid(self._directory.stores.noise, key).covered
        for box in image.not_fitted:
            covered[blocks_of(box)] = False
        world = world_from_cards(image.receipt["result"]["wcs"])
        return _Sky(world, zone_of_blocks(covered))

    def _check(self, receipt: Receipt) -> None:
        for path, fault in self._directory.faults(receipt["files"]):
            raise DamagedError(f"{path} is {fault}", MEND)


def overlapping(images: Sequence[Contender]) -> defaultdict[str, list[Contender]]:
    """Find for each image those of its band whose circles touch its own, the best first."""
    by_band: defaultdict[str, list[Contender]] = defaultdict(list)
    for image in images:
        if image.band != NO_BAND and image.footprint is not None:
            by_band[image.band].append(image)
    rivals: defaultdict[str, list[Contender]] = defaultdict(list)
    for of_band in by_band.values():
        for first, second in _touching([i.footprint for i in of_band if i.footprint is not None]):
            rivals[of_band[first].key].append(of_band[second])
            rivals[of_band[second].key].append(of_band[first])
    for others in rivals.values():
        others.sort(key=lambda image: image.rank)
    return rivals


def _touching(footprints: Sequence[Footprint]) -> NDArray[np.int_]:
    """Return the pairs (n, 2) of circles that touch.

    They are compared class by class, the radii of a class being within a factor of 2: with one
    largest radius for all, a map of the whole sky would make any two exposures candidates.
    """
    centres = np.array([footprint.vector for footprint in footprints])
    radii = np.array([footprint.radius for footprint in footprints])
    exponents = np.frexp(radii)[1]
    classes = [np.flatnonzero(exponents == exponent) for exponent in np.unique(exponents)]
    indexed = [(members, cKDTree(centres[members])) for members in classes]
    touching = [np.empty((0, 2), np.int_)]
    for (these, tree), (those, other) in combinations_with_replacement(indexed, 2):
        reach = _chord(radii[these].max() + radii[those].max())
        near = tree.sparse_distance_matrix(other, reach, output_type="ndarray")
        first, second = these[near["i"]], those[near["j"]]
        kept = near["v"] <= _chord(radii[first] + radii[second])
        if tree is other:
            kept &= first < second
        touching.append(np.column_stack([first, second])[kept])
    return np.concatenate(touching)


def _chord(angle: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Distance of two unit vectors this many degrees apart."""
    return 2 * np.sin(np.radians(np.minimum(angle, 180.0)) / 2)
