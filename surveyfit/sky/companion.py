"""Files beside an image: its noise, its background, its mask, its artificial sources."""

import hashlib
import os
import re
import string
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from astropy.io import fits

from surveyfit.errors import InputError
from surveyfit.sky.find import file_state, stem_of
from surveyfit.sky.hdu import Hdu, card, select_hdu
from surveyfit.sky.image import Image
from surveyfit.sky.injected import read_table
from surveyfit.sky.layout import file_digest, read_layout, readable

ROLES = ("noise", "background", "mask")

FIELDS = ("dir", "stem", "name", "ext")
"""What may stand in braces in the name of a companion."""

BAD_PLANES = ("BAD", "SAT", "CR", "NO_DATA", "EDGE", "INTRP", "UNMASKEDNAN")
"""Mask planes of the LSST pipelines whose pixels are not measurements, each MP_name = bit number.

DETECTED, DETECTED_NEGATIVE, SUSPECT, CROSSTALK and the like describe good pixels."""

SATURATED_PLANE = "SAT"

NoiseType = Literal["rms", "variance", "weight"]


@dataclass(frozen=True)
class Companions:
    """How to find the companions of an image, and what they mean.

    Attributes
    ----------
    noise, background, mask : str or None
        Paths with ``{dir}`` (the image's folder), ``{stem}`` (its file name without FITS endings),
        ``{name}`` (its file name) and ``{ext}`` (EXTNAME); ``[EXT]`` at the end picks an HDU by
        number or EXTNAME. Example: ``{dir}/{stem}_rms.fits[1]``.
    noise_type : {"rms", "variance", "weight"}
        What the noise image holds, in image units: 1 sigma, its square, or the inverse of that.
    mask_bits : tuple of str
        Names (from MP_* cards) or numbers of the bits that make a pixel bad. If empty:
        `BAD_PLANES` where the mask has MP_* cards, else any value but zero.
    inject : str or None
        One table of artificial sources for all images (`surveyfit.sky.injected`).
    """

    noise: str | None = None
    background: str | None = None
    mask: str | None = None
    noise_type: NoiseType = "rms"
    mask_bits: tuple[str, ...] = ()
    inject: str | None = None

    def validate(self) -> None:
        """Check the patterns without looking at any image.

        Raises
        ------
        InputError
            If a pattern has an unknown field or unbalanced braces, or the table cannot be read.
        """
        for option in ROLES:
            if pattern := getattr(self, option):
                _check_pattern(option, pattern)
        if self.inject is not None:
            read_table(Path(self.inject))

    def files(self, image: Image) -> tuple[str, ...]:
        """Return the paths of all companions of an image, whether they exist or not."""
        patterns = {role: getattr(self, role) for role in ROLES}
        named = [_fill(role, p, image)[0] for role, p in patterns.items() if p is not None]
        return (*named, self.inject) if self.inject is not None else tuple(named)

    def digest(self, image: Image) -> str:
        """Return one SHA-256 of the bytes of all companion files of an image; empty if none."""
        digests = [_digest(path, file_state(path)) for path in self.files(image)]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests else ""

    def locate(self, role: Literal["noise", "background", "mask"], image: Image) -> Image | None:
        """Find the companion of an image; None if the user named none for this role.

        Without ``[EXT]`` it is the only image of its file, else the HDU of the same EXTNAME, else
        the one of the same number.

        Raises
        ------
        InputError
            If it is missing, ambiguous, not a FITS image, or of another shape.
        """
        pattern = getattr(self, role)
        if pattern is None:
            return None
        path, ext = _fill(role, pattern, image)
        if not os.path.exists(path):
            raise InputError(
                f"the {role} image of {image.name} does not exist: {path}",
                f"check the pattern of --{role}, {pattern}",
            )
        name = os.path.basename(path)
        layout = read_layout(path, name)
        with readable(name):
            hdu = _choose(layout, ext, image, name)
            planes = hdu.shape[:-2]
            plane = image.plane if len(image.plane) == len(planes) else (0,) * len(planes)
            plane = tuple(0 if n == 1 else i for i, n in zip(plane, planes, strict=True))
            shape = (hdu.shape[-2], hdu.shape[-1])
        if shape != image.shape or any(i >= n for i, n in zip(plane, planes, strict=True)):
            raise InputError(
                f"{name}, the {role} of {image.name}, has shape {hdu.shape}; the image has"
                f" {image.shape}",
                f"check the pattern of --{role}, {pattern}",
            )
        return Image(path, f"{name}[{hdu.label}]", hdu.index, plane, shape, "", None, hdu.label)


@lru_cache(maxsize=256)
def _digest(path: str, state: tuple[int, int]) -> str:
    """Digest a file once in its state, since one companion may belong to many images."""
    missing = state == (-1, -1)
    return "missing" if missing else file_digest(path, os.path.basename(path))


def bad_bits(header: fits.Header, mask_bits: tuple[str, ...], name: str) -> int:
    """Return the bits of a mask that make a pixel bad, as one integer; -1 for all.

    Parameters
    ----------
    header : Header
        Of the mask.
    mask_bits : tuple of str
        As in `Companions`.
    name : str
        The mask, for messages.

    Raises
    ------
    InputError
        If a bit is asked for that the mask does not name.
    """
    named = _named_bits(header)
    if not mask_bits:
        chosen = [named[bit] for bit in BAD_PLANES if bit in named]
        return sum(1 << bit for bit in chosen) if named else -1
    total = 0
    for word in mask_bits:
        if word.isdecimal() and int(word) < 63:
            total |= 1 << int(word)
        elif word.upper() in named:
            total |= 1 << named[word.upper()]
        else:
            known = ", ".join(named) or "no names, only numbers"
            raise InputError(f"mask {name} has no bit {word} (--mask-bits)", f"it has {known}")
    return total


def saturated_bits(header: fits.Header) -> int:
    """Return the bit of a mask that marks saturated pixels, as an integer; 0 if it names none."""
    named = _named_bits(header)
    return 1 << named[SATURATED_PLANE] if SATURATED_PLANE in named else 0


def _named_bits(header: fits.Header) -> dict[str, int]:
    cards = {key[3:]: card(header, key) for key in header if key.startswith("MP_")}
    return {key: bit for key, bit in cards.items() if isinstance(bit, int) and 0 <= bit < 63}


def _check_pattern(option: str, pattern: str) -> None:
    remedy = f"known are {', '.join('{' + field + '}' for field in FIELDS)}"
    try:
        parts = [part for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"--{option} {pattern}: {error}", remedy) from error
    for _, field, form, conversion in parts:
        if field not in FIELDS:
            raise InputError(f"--{option} {pattern}: unknown field {{{field}}}", remedy)
        if form or conversion:
            raise InputError(f"--{option} {pattern}: {{{field}}} takes no format", remedy)


def _fill(option: str, pattern: str, image: Image) -> tuple[str, str | None]:
    _check_pattern(option, pattern)
    folder, file = os.path.split(image.path)
    filled = pattern.format(dir=folder or ".", stem=stem_of(file), name=file, ext=image.ext)
    match = re.fullmatch(r"(.*?)(?:\[([^\[\]]+)\])?", filled)
    path, ext = match.groups() if match else (filled, None)
    return os.path.expanduser(path), ext


def _choose(layout: tuple[Hdu, ...], ext: str | None, image: Image, name: str) -> Hdu:
    pool = select_hdu(layout, ext, name) if ext else layout
    images = [h for h in pool if not h.is_table and len(h.shape) >= 2]
    same_name = [h for h in images if h.label == image.ext]
    same_number = [h for h in images if h.index == image.hdu]
    for candidates in (images, same_name, same_number):
        if len(candidates) == 1:
            return candidates[0]
    held = ", ".join(f"{h.index} {h.extname}".strip() for h in images) or "none"
    raise InputError(f"{name}: which image belongs to {image.name}?", f"add [EXT]; it has {held}")
