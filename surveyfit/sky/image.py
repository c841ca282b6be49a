"""The images of a file: which there are, what each is called, and what else the file holds."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surveyfit.errors import InputError
from surveyfit.sky.classify import SKY, file_hints, kind_of, masks_of, names_its_sky
from surveyfit.sky.find import Found, stem_of
from surveyfit.sky.hdu import Hdu, select_hdu
from surveyfit.sky.layout import REMEDY, file_digest, read_layout, readable

KEY_STEM_LENGTH = 60
"""Characters of the name in a key; file systems allow 255 a path component."""

NOT_IMAGES = {
    "table": "a table",
    "empty": "no pixels",
    "one-dimensional": "not an image",
    "single plane": "no such plane",
}
"""Kinds of HDU that cannot be measured whatever the options, and why."""


@dataclass(frozen=True)
class Image:
    """One plane of sky, small enough to travel in a task and to be written as JSON.

    Attributes
    ----------
    path, name : str
        The file, and how the catalogue calls the image: ``file`` or ``file[EXTNAME]``.
    hdu : int
        Zero-based number of the HDU.
    plane : tuple of int
        Index on the axes before the last two; zeros on degenerate ones.
    shape : tuple of int
        Rows and columns.
    digest : str
        SHA-256 of the file; empty if it was not asked for.
    mask_hdu : int or None
        The HDU of the same file that is its mask.
    ext : str
        EXTNAME, else EXTTYPE, else the HDU's number: ``{ext}`` in the names of companions.
    companions_digest : str
        SHA-256 over the files of its noise, background and mask; empty if none were named. It is
        no part of `key`: another mask makes another measurement, not other sources.
    """

    path: str
    name: str
    hdu: int
    plane: tuple[int, ...]
    shape: tuple[int, int]
    digest: str
    mask_hdu: int | None
    ext: str
    companions_digest: str = ""

    @property
    def key(self) -> str:
        """A unique name that is safe as part of any path."""
        content = f"{self.name}|{self.digest}|{self.hdu}|{self.plane}"
        stem = re.sub("[^A-Za-z0-9]+", "_", self.name)[:KEY_STEM_LENGTH].strip("_")
        return f"{stem}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def own_mask(self) -> "Image | None":
        """The mask plane of the same file."""
        if self.mask_hdu is None:
            return None
        name, ext = f"{self.name} (mask in HDU {self.mask_hdu})", str(self.mask_hdu)
        return replace(self, name=name, hdu=self.mask_hdu, mask_hdu=None, ext=ext)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Image":
        """Inverse of `dataclasses.asdict`, also after a passage through JSON."""
        plane, shape = tuple(record["plane"]), tuple(record["shape"])
        return cls(**{**record, "plane": plane, "shape": shape})


@dataclass(frozen=True)
class Other:
    """A part of a file that is not measured: its name, its kind, and why or how to measure it."""

    name: str
    kind: str
    note: str


@dataclass(frozen=True)
class FileContents:
    """What a file holds; ``images`` is empty for a file of nothing but masks and the like."""

    path: str
    name: str
    digest: str
    images: tuple[Image, ...]
    others: tuple[Other, ...]


def scan_file(
    found: Found, *, hdu: str | None = None, plane: int | None = None, digest: bool = True
) -> FileContents:
    """List the science images of a file and everything else in it; no pixel is decoded.

    Parameters
    ----------
    found : Found
        The file.
    hdu : str, optional
        Number (zero-based) or EXTNAME of the HDU to measure, even if it looks like a mask.
    plane : int, optional
        Zero-based plane of a cube, counted through all axes before the last two.
    digest : bool
        Whether to read the whole file for its SHA-256.

    Raises
    ------
    InputError
        If the file is broken, or holds no plane that can be measured and none that describes one.
    """
    path, name = str(found.path), found.name
    layout = read_layout(path, name)
    with readable(name):
        hints = file_hints(layout, stem_of(name))
        wanted = layout if hdu is None else _selected(layout, hdu, name)
        kinds = {h.index: _kind(h, hints, plane, forced=hdu is not None) for h in wanted}
        if hdu is None:
            _demote_unnamed(layout, kinds)
        science = [h for h in wanted if kinds[h.index] == SKY]
        if not science:
            _refuse_if_useless(wanted, kinds, plane, name)
        content = file_digest(path, name) if digest else ""
        names = _names(science, name)
        masks = masks_of(layout, science, hints)
        images = tuple(
            Image(
                path=path,
                name=names[h.index],
                hdu=h.index,
                plane=_plane_index(h.shape, plane),
                shape=(h.shape[-2], h.shape[-1]),
                digest=content,
                mask_hdu=masks.get(h.index),
                ext=h.label,
            )
            for h in science
        )
    return FileContents(
        path, name, content, images, _others(layout, wanted, kinds, name, set(masks.values()))
    )


def _selected(layout: Sequence[Hdu], word: str, name: str) -> tuple[Hdu, ...]:
    chosen = tuple(h for h in select_hdu(layout, word, name) if not h.is_table)
    if not chosen:
        raise InputError(f"{name}: HDU {word} is a table", "choose an image with --hdu")
    return chosen


def _kind(hdu: Hdu, hints: Sequence[str], plane: int | None, *, forced: bool) -> str:
    """Say what an HDU is: a kind of `classify`, or why it cannot be an image."""
    if hdu.is_table:
        return "table"
    if math.prod(hdu.shape) == 0 or not hdu.shape:
        return "empty"
    if len(hdu.shape) < 2 or min(hdu.shape[-2:]) == 1:
        return "one-dimensional"
    kind = SKY if forced else kind_of(hdu, hints)
    planes = math.prod(hdu.shape[:-2])
    if kind == SKY and not (planes == 1 if plane is None else 0 <= plane < planes):
        return "cube" if planes > 1 else "single plane"
    return kind


def _demote_unnamed(layout: Sequence[Hdu], kinds: dict[int, str]) -> None:
    """Where a file names its science planes (SCI, IMAGE), planes of other names are not sky."""
    sky = [h for h in layout if kinds[h.index] == SKY]
    if any(names_its_sky(h) for h in sky):
        kinds.update({h.index: "unknown" for h in sky if h.extname and not names_its_sky(h)})


def _refuse_if_useless(
    hdus: Sequence[Hdu], kinds: dict[int, str], plane: int | None, name: str
) -> None:
    """Raise unless something in the file at least describes another image."""
    present = set(kinds.values())
    if "cube" in present:
        cube = next(h for h in hdus if kinds[h.index] == "cube")
        planes = math.prod(cube.shape[:-2])
        what = "is a cube" if plane is None else f"has no plane {plane}"
        raise InputError(
            f"{name} {what}: HDU {cube.index} has shape {cube.shape}",
            f"choose one plane with --plane 0 to {planes - 1}",
        )
    if "single plane" in present:
        raise InputError(f"{name} has no plane {plane}: it is not a cube", "leave --plane out")
    if "one-dimensional" in present:
        shape = next(h.shape for h in hdus if kinds[h.index] == "one-dimensional")
        raise InputError(f"{name} holds no image: its data have shape {shape}", "leave it out")
    if "table" in present and present <= {"table", "empty"}:
        raise InputError(f"{name} holds only tables", "leave it out; images are measured")
    if present <= {"empty"}:
        raise InputError(f"{name} holds no pixels", REMEDY)


def _names(science: Sequence[Hdu], name: str) -> dict[int, str]:
    """Call an image by its file, and by the shortest label that tells it apart from others."""
    if len(science) == 1:
        return {science[0].index: name}
    short = {h.index: h.label for h in science}
    full = {h.index: f"{h.label},{h.extver}" for h in science}
    times = Counter(short.values()) + Counter(full.values())
    labels = {i: next((w for w in (short[i], full[i]) if times[w] == 1), str(i)) for i in short}
    return {i: f"{name}[{label}]" for i, label in labels.items()}


def _others(
    layout: Sequence[Hdu], wanted: Sequence[Hdu], kinds: dict[int, str], name: str, used: set[int]
) -> tuple[Other, ...]:
    """List what is not measured, less the empty primary HDU that every multi-HDU file has."""
    rest = [h for h in wanted if kinds[h.index] != SKY and not (h.index == 0 and not h.shape)]
    return tuple(
        Other(
            name if len(layout) == 1 else f"{name}[{h.label}]",
            kinds[h.index],
            _note(h, kinds[h.index], used=h.index in used),
        )
        for h in rest
    )


def _plane_index(shape: tuple[int, ...], plane: int | None) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(plane or 0, shape[:-2])) if shape[2:] else ()


def _note(hdu: Hdu, kind: str, *, used: bool) -> str:
    """Say what becomes of a part that is not measured, or how to make use of it."""
    if kind in NOT_IMAGES:
        return NOT_IMAGES[kind]
    if used:
        return "its bad pixels are left out of the image beside it"
    if kind in ("variance", "weight"):
        return f"as noise: --noise '{{dir}}/{{name}}[{hdu.label}]' --noise-type {kind}"
    plane = " and --plane" if kind == "cube" else ""
    return f"shape {hdu.shape}; measured with --hdu {hdu.index}{plane}"
