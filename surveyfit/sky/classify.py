"""Which planes of a file are sky, and which describe it: masks, variances, weights, backgrounds."""

import re
from collections.abc import Sequence

from surveyfit.sky.hdu import Hdu, card

SKY = "image"
"""Kind of a plane that is to be measured."""

DERIVED = "SFKIND"
"""Keyword that tells what an image of ours is (`derived_image`): a model, a residual."""

MADE_BY_US = "surveyfit model or residual"
"""Kind of such an image."""

WORDS: dict[str, frozenset[str]] = {
    SKY: frozenset({"sci", "science", "image"}),
    "mask": frozenset({"mask", "msk", "dq", "dqmask", "bpm", "flag", "flags"}),
    "variance": frozenset({"var", "variance", "varmap"}),
    "weight": frozenset({"weight", "weights", "wt", "wht", "wgt", "wtmap", "ivar", "invvar"}),
    "noise": frozenset({"rms", "noise", "err", "error", "unc", "uncert"}),
    "background": frozenset({"bkg", "background"}),
    "distortion": frozenset({"wcsdvarr", "imarr"}),
}
"""Words in the names of extensions and files by which the observatories tell planes apart; those of
distortions are WCSDVARR and D2IMARR, tables of the world coordinates."""

INTEGER_KINDS = ("mask",)
"""Kinds whose pixels are integers, unscaled or unsigned; those of all others are floating point."""

UNSIGNED_ZERO = {8: -128, 16: 2**15, 32: 2**31, 64: 2**63}
"""BZERO by which FITS stores integers of the other signedness, by BITPIX."""


def kind_of(hdu: Hdu, hints: Sequence[str] = ()) -> str:
    """Say what an image HDU is: one of the kinds in `WORDS`, or `MADE_BY_US`.

    A word counts only where the pixel type agrees: a mask has integers, a variance has not.

    Parameters
    ----------
    hdu : Hdu
        An image.
    hints : sequence of str
        Words about its file, from `file_hints`, for where the header of the HDU says nothing.
    """
    if hdu.text(DERIVED):
        return MADE_BY_US
    if has_mask_planes(hdu) and _has_bits(hdu):
        return "mask"
    words = [*_words(hdu.text("EXTTYPE")), *_words(hdu.extname), *hints]
    named = next((kind for word in words for kind in WORDS if word in WORDS[kind]), SKY)
    return named if named == SKY or _has_bits(hdu) == (named in INTEGER_KINDS) else SKY


def file_hints(layout: Sequence[Hdu], stem: str) -> list[str]:
    """Return words that may tell what all planes of a file are, the most telling first.

    They are those of PRODTYPE (written by the NOIRLab pipelines; that of a mask was also seen to
    say ``image``, so this word counts for nothing), then the last and the first of the file name.
    """
    words = _words(stem)
    product = [word for word in _words(layout[0].text("PRODTYPE")) if word not in WORDS[SKY]]
    return [*product, *words[-1:], *words[:1]]


def names_its_sky(hdu: Hdu) -> bool:
    """Whether the header calls the plane a science image in so many words."""
    return any(word in WORDS[SKY] for word in _words(f"{hdu.extname} {hdu.text('EXTTYPE')}"))


def has_mask_planes(hdu: Hdu) -> bool:
    """Whether the header names mask bits as LSST and HSC do (MP_BAD = 0)."""
    return any(keyword.startswith("MP_") for keyword in hdu.header)


def masks_of(layout: Sequence[Hdu], science: Sequence[Hdu], hints: Sequence[str]) -> dict[int, int]:
    """Give each science HDU its mask: by name, or by order where there are as many masks.

    Parameters
    ----------
    layout, science : sequence of Hdu
        All of the file, and those that are measured.
    hints : sequence of str
        As in `kind_of`.

    Returns
    -------
    dict
        From the number of a science HDU to that of its mask; those without one are left out.
    """
    images = [h for h in layout if not h.is_table and len(h.shape) >= 2]
    masks = [h for h in images if h not in science and kind_of(h, hints) == "mask"]
    sky = [h for h in images if kind_of(h, hints) == SKY]
    pairs = {}
    for h in science:
        named = [m for m in masks if _partner(m) == _partner(h)]
        ordered = [masks[sky.index(h)]] if h in sky and len(sky) == len(masks) else []
        chosen = named if len(named) == 1 else ordered
        if chosen and chosen[0].shape == h.shape:
            pairs[h.index] = chosen[0].index
    return pairs


def _partner(hdu: Hdu) -> tuple[str, ...]:
    """Return what a science plane and its mask have in common: EXTNAME less the kind, and EXTVER.

    ``CCD07_SCI`` and ``CCD07_MASK`` both give ``("ccd07", "1")``.
    """
    known = frozenset().union(*WORDS.values())
    parts = re.findall("[a-z0-9]+", hdu.extname.lower())
    return (*(part for part in parts if part not in known), str(hdu.extver))


def _has_bits(hdu: Hdu) -> bool:
    scale, zero = card(hdu.header, "BSCALE"), card(hdu.header, "BZERO")
    unscaled = scale in (None, 1) and zero in (None, 0, UNSIGNED_ZERO.get(hdu.bitpix))
    return hdu.bitpix > 0 and unscaled


def _words(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())
