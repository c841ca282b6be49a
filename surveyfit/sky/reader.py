"""An image as the measurement wants it: boxes of pixels with their mask, noise and background."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from scipy import ndimage

from surveyfit.sky.box import Box
from surveyfit.sky.companion import Companions, NoiseType, bad_bits, saturated_bits
from surveyfit.sky.header import Facts, read_facts
from surveyfit.sky.image import Image
from surveyfit.sky.injected import injected_into
from surveyfit.sky.plane import PlaneReader
from surveyfit.sky.world import World

LARGEST_VALUE = 1e30
"""Larger pixels are no measurements; their sums overflow in float32, which crashes sep."""

ZERO_BLOCK = 9
"""Side of a square of exact zeros that is taken for padding of a mosaic and not for sky."""


class Pixels(NamedTuple):
    """The pixels of a box; every array has its shape.

    Attributes
    ----------
    data : float32
        Image units, NaN where blank or not within `LARGEST_VALUE`.
    mask : bool
        True where a pixel is not to be used: not finite, padding, flagged, or without noise.
    saturated : bool
        True where the detector was full.
    noise, background : float32 or None
        From the companions: 1 sigma, and the level; image units.
    """

    data: np.ndarray
    mask: np.ndarray
    saturated: np.ndarray
    noise: np.ndarray | None
    background: np.ndarray | None

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Pixels":
        """Apply the same change of shape to every array."""
        changed: list[Any] = [None if array is None else change(array) for array in self]
        return Pixels(*changed)


class ImageReader:
    """Reads boxes of an image with its companions; to be used in a ``with`` statement.

    Parameters
    ----------
    image : Image
    companions : Companions
    facts : Facts, optional
        Read from the header if not given; ``saturate`` is used.

    Raises
    ------
    InputError
        On entering, if a file is broken or a companion missing or of another shape.

    Attributes
    ----------
    header : Header
        Of the image, with what it inherits from the primary one.
    facts : Facts
    """

    def __init__(
        self, image: Image, companions: Companions | None = None, facts: Facts | None = None
    ) -> None:
        self.image = image
        self._companions = companions or Companions()
        self._given_facts = facts

    def __enter__(self) -> "ImageReader":
        with ExitStack() as stack:
            self._science = stack.enter_context(PlaneReader(self.image))
            self.header = self._science.header
            self.facts = self._given_facts or read_facts(self.header, plane=self.image.plane)
            noise = self._companions.locate("noise", self.image)
            background = self._companions.locate("background", self.image)
            mask = self._companions.locate("mask", self.image) or self.image.own_mask
            self._injected = injected_into(self.image, self._companions.inject)
            self._noise = stack.enter_context(PlaneReader(noise)) if noise else None
            self._background = stack.enter_context(PlaneReader(background)) if background else None
            self._mask = stack.enter_context(PlaneReader(mask)) if mask else None
            if mask and self._mask:
                self._bad = bad_bits(self._mask.header, self._companions.mask_bits, mask.name)
                self._full = saturated_bits(self._mask.header)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @cached_property
    def world(self) -> World:
        """World coordinates of the image."""
        return World(self.header, self.hdus)

    @property
    def hdus(self) -> fits.HDUList:
        """All that the file of the image holds."""
        return self._science.hdus

    def read(self, box: Box) -> Pixels:
        """Read a box; it must lie inside the image.

        Blocks of zeros are looked for beyond its edges, so that what is masked does not depend
        on the boxes in which an image is read. Artificial sources are added before saturation is
        judged.
        """
        wide = box.grow(ZERO_BLOCK - 1, self.image.shape)
        inner = box.within(wide)
        values = self._science.read(wide)
        data = _sane(values[inner])
        mask = np.isnan(data) | _zero_blocks(values)[inner]
        self._injected.add_to(data, box)
        saturated = np.zeros(box.shape, bool)
        if self.facts.saturate is not None:
            saturated |= data >= self.facts.saturate
        if self._mask:
            flags = self._mask.read(box)
            flagged = np.nonzero(flags)
            bits = _bits(flags[flagged])
            mask[flagged] |= bits & self._bad != 0
            saturated[flagged] |= bits & self._full != 0
        noise = background = None
        if self._noise:
            noise = _one_sigma(self._noise.read(box), self._companions.noise_type)
            mask |= np.isnan(noise)
        if self._background:
            background = self._background.read(box).astype(np.float32)
            mask |= ~np.isfinite(background)
        return Pixels(data, mask, saturated, noise, background)


def _sane(values: np.ndarray) -> np.ndarray:
    """Values as float32, NaN where they are not numbers of a sensible size."""
    with np.errstate(invalid="ignore", over="ignore"):  # random bytes hold signalling NaNs
        data = values.astype(np.float32)
        data[~(np.abs(data) <= LARGEST_VALUE)] = np.nan
    return data


def _zero_blocks(values: np.ndarray) -> np.ndarray:
    """Mark pixels in any square of `ZERO_BLOCK` exact zeros: a binary opening, axis by axis."""
    zero = values == 0
    if not _any_run(zero, ZERO_BLOCK):
        return np.zeros_like(zero)
    centres = ndimage.minimum_filter(zero, ZERO_BLOCK, mode="constant", cval=0)
    return ndimage.maximum_filter(centres, ZERO_BLOCK, mode="constant", cval=0)


def _any_run(zero: np.ndarray, length: int) -> bool:
    """Whether any row has so many in a run, without which there is no block; far faster to tell."""
    found = 1
    while found < length and zero.any():
        step = min(found, length - found)
        zero = zero[:, :-step] & zero[:, step:]
        found += step
    return bool(zero.any())


def _bits(values: np.ndarray) -> np.ndarray:
    """Mask values as integers; NaN, and what is no integer, has every bit set."""
    whole = (values == np.rint(values)) & (np.abs(values) < 2**62)
    return np.where(whole, values, -1).astype(np.int64)


def _one_sigma(values: np.ndarray, noise_type: NoiseType) -> np.ndarray:
    """Noise as 1 sigma in float32, NaN where it is not a positive number."""
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan).astype(np.float64)
    if noise_type == "variance":
        values = np.sqrt(values)
    elif noise_type == "weight":
        values = 1 / np.sqrt(values)
    sigma = values.astype(np.float32)
    return np.where(np.isfinite(sigma) & (sigma > 0), sigma, np.float32(np.nan))
