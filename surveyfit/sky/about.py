"""What a catalogue says about itself beside its columns: frame, covariance, flags, provenance.

It is the ``meta`` of an astropy table, so ECSV and parquet hold it as it is. FITS and VOTable know
no nested values: there it is a list of `Entry`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, NamedTuple

from surveyfit.schema import FLAG_WORDS, GOOD, MODEL, PACKED, PARAMETERS, SCHEMA_VERSION

MOST_LISTED = 16
"""Images whose digests stand in the catalogue one by one; the table of images lists any number."""


@dataclass(frozen=True)
class Provenance:
    """Where the rows of a catalogue come from.

    Attributes
    ----------
    versions : mapping of str to str
        Version by package.
    configuration : mapping of str to Any
        What the measurement was asked for, as JSON holds it; None where nothing was.
    images : mapping of str to str
        SHA-256 of its file by the label of the image: its name, where no other image has it.
    epoch_mjd : float or None
        Start of the observations, MJD, if all images share it.
    finished : str
        When, ISO 8601; empty if not told.
    command : str
        What the user typed; empty if not told.
    """

    versions: Mapping[str, str]
    configuration: Mapping[str, Any]
    images: Mapping[str, str]
    epoch_mjd: float | None = None
    finished: str = ""
    command: str = ""

    @property
    def images_digest(self) -> str:
        """SHA-256 of the different digests of the images, sorted, a space between them."""
        text = " ".join(sorted(set(self.images.values())))
        return hashlib.sha256(text.encode()).hexdigest()


class Entry(NamedTuple):
    """One thing that a catalogue says about itself.

    Attributes
    ----------
    name : str
        Unique; that of an element of a group is ``group.element``.
    keyword : str
        The same in a FITS header.
    value : str or int or float
    meaning : str
    """

    name: str
    keyword: str
    value: str | int | float
    meaning: str


# Numbers take 20 letters of a FITS card, and leave 47 for the meaning.
_WORDS = {
    "creator": ("CREATOR", "the program that wrote this"),
    "schema_version": ("SCHEMAV", "version of the table of columns"),
    "frame": ("RADESYS", "frame of ra and dec"),
    "epoch_mjd": ("MJD-OBS", "start of the observations, UTC"),
    "model": ("MODEL", "the function that was fitted"),
    "covariance_order": ("COVORDER", "parameters of fit_cov and fit_cov_crb"),
    "covariance_packing": ("COVPACK", "their elements"),
    "good_mask": ("GOODMASK", "good rows: flags & GOODMASK == 0"),
    "flag_bits": ("FLAG", "a bit of flags, and what it means"),
    "versions": ("VERS", "version of a package"),
    "configuration": ("CONF", "an option of the measurement"),
    "images": ("NIMAGES", "images measured"),
    "images_digest": ("IMGDIGES", "SHA-256 of the sorted image digests"),
    "image_digests": ("IMAG", "SHA-256 of the file of an image"),
    "finished": ("DATE", "when the run ended"),
    "command": ("COMMAND", "what was typed"),
}
"""By name: FITS keyword, of which each element of a group gets a number; meaning."""


def about_catalogue(provenance: Provenance | None = None) -> dict[str, Any]:
    """Return the ``meta`` of a table of catalogue rows.

    Parameters
    ----------
    provenance : Provenance, optional
        Without it, what is the same for every run of this version: so a part of a catalogue does
        not depend on when and where it was written.
    """
    meta = {
        "description": "Sources fitted by a two-dimensional Gaussian, one row each",
        "creator": f"surveyfit {version('surveyfit')}",
        "schema_version": SCHEMA_VERSION,
        "frame": "ICRS",
        "model": MODEL,
        "covariance_order": " ".join(PARAMETERS),
        "covariance_packing": "upper triangle, row by row: "
        + ", ".join(f"{PARAMETERS[i]} {PARAMETERS[j]}" for i, j in PACKED),
        "good_mask": GOOD,
        "flag_bits": {int(f): f"{str(f.name).lower()}: {words}" for f, words in FLAG_WORDS.items()},
    }
    return meta if provenance is None else meta | _told(provenance)


def _told(provenance: Provenance) -> dict[str, Any]:
    chosen = {k: v for k, v in provenance.configuration.items() if v not in (None, [])}
    listed = dict(provenance.images) if len(provenance.images) <= MOST_LISTED else None
    told = {
        "epoch_mjd": provenance.epoch_mjd,
        "versions": dict(provenance.versions),
        "configuration": chosen,
        "images": len(provenance.images),
        "images_digest": provenance.images_digest,
        "image_digests": listed,
        "finished": provenance.finished,
        "command": provenance.command,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def entries(meta: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield what `about_catalogue` put into a table's ``meta``, the elements of groups one by one.

    What another one put there is passed over.
    """
    for name, (keyword, meaning) in _WORDS.items():
        value = meta.get(name)
        if isinstance(value, Mapping):
            for number, (key, element) in enumerate(value.items()):
                yield Entry(f"{name}.{key}", f"{keyword}{number}", _plain(element), meaning)
        elif value is not None:
            yield Entry(name, keyword, _plain(value), meaning)


def _plain(value: Any) -> str | int | float:
    """Spell a list: ``6.5 4.1 30.0``."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
