"""What the user chose: the measurement (part of the result) and the execution (not part of it)."""

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from surveyfit.errors import InputError
from surveyfit.schema import SCHEMA_VERSION

DTYPES = ("float32", "float64")
NoiseType = Literal["rms", "variance", "weight"]
NOISE_TYPES = get_args(NoiseType)

MIN_TILE = 128
"""A smaller core than this is nearly all halo."""

MIN_CELL = 8
"""In cells of this side the noise of Gaussian pixels is measured 3 % too low, in 4 x 4 5 %."""

MAX_FILTER_FWHM = 32.0
"""The filter's square of pixels, over twice as wide, must stay well inside tile and halo."""


def _option(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Config:
    """Everything that decides what the catalogue says; a run directory holds exactly one.

    The fields are the keys of ``--config FILE.toml`` and, with dashes, the options of ``submit``.
    """

    hdu: str | None = _option(None, "measure only this extension: number or EXTNAME")
    plane: int | None = _option(None, "plane of a cube, counted from 0")
    thresh: float = _option(5.0, "detection threshold in sigmas of the filtered image's noise")
    filter_fwhm: float = _option(2.5, "width of the detection filter in pixels")
    cell: int = _option(64, "side of the background and noise cells in pixels")
    noise: str | None = _option(None, "noise images, such as {dir}/{stem}_rms.fits[EXT]")
    background: str | None = _option(None, "background images, a pattern as for noise")
    mask: str | None = _option(None, "mask images, a pattern as for noise")
    noise_type: NoiseType = _option(  # noqa: RUF009 - it returns a field
        "rms", "what a noise image holds: rms, variance or weight"
    )
    mask_bits: tuple[str, ...] = _option((), "mask bits that are bad: MP_* names or bit numbers")
    inject: str | None = _option(
        None, "table of artificial sources to add to the pixels; 'validate' writes such"
    )
    gain: float | None = _option(None, "electrons per image unit; default from the header")
    saturate: float | None = _option(None, "level of saturated pixels; default from the header")
    zeropoint: float | None = _option(None, "magnitude of a flux of 1; default from the header")
    beam: tuple[float, float, float] | None = _option(
        None, "beam FWHM major, minor in arcsec, angle in deg; default from the header"
    )
    gamma: float | Literal["fit"] = _option(
        2.4, "scale of the Cauchy likelihood in units of the local noise; fit: one for each source"
    )
    model_error: float = _option(0.05, "what a Gaussian may miss, as a share of the peak")
    dtype: str = _option("float32", "precision of the fit: float32 or float64")
    tile: int = _option(1024, "side of the tiles in pixels")
    halo: int = _option(128, "pixels around a tile that it may look at")

    def __post_init__(self) -> None:
        for field_ in fields(self):
            value = getattr(self, field_.name)
            _check(_is_definite(value), field_.name, value, "give a value, or leave it out")
        for name in ("thresh", "filter_fwhm"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        gamma_ok = self.gamma == "fit" if isinstance(self.gamma, str) else self.gamma > 0
        _check(gamma_ok, "gamma", self.gamma, "give a positive number, or fit")
        for name in ("gain", "saturate"):
            value = getattr(self, name)
            _check(value is None or value > 0, name, value, "give a positive number")
        _check(self.model_error >= 0, "model_error", self.model_error, "give 0 or more")
        _check(self.dtype in DTYPES, "dtype", self.dtype, f"one of {', '.join(DTYPES)}")
        _check(
            self.noise_type in NOISE_TYPES,
            "noise_type",
            self.noise_type,
            f"one of {', '.join(NOISE_TYPES)}",
        )
        _check(self.cell >= MIN_CELL, "cell", self.cell, f"give at least {MIN_CELL}")
        _check(
            self.filter_fwhm <= MAX_FILTER_FWHM,
            "filter_fwhm",
            self.filter_fwhm,
            f"give at most {MAX_FILTER_FWHM}",
        )
        _check(self.tile >= MIN_TILE, "tile", self.tile, f"give at least {MIN_TILE}")
        _check(self.halo >= 0, "halo", self.halo, "give 0 or more")
        _check(self.plane is None or self.plane >= 0, "plane", self.plane, "give 0 or more")
        beam_ok = self.beam is None or (len(self.beam) == 3 and self.beam[0] >= self.beam[1] > 0)
        _check(beam_ok, "beam", self.beam, "give major, minor (arcsec, major first) and angle")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Build from JSON or TOML values; lists become tuples.

        Raises
        ------
        InputError
            For an unknown key, a value of the wrong type or out of range.
        """
        known = {f.name: f for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InputError(
                    f"unknown configuration key '{name}'", f"known keys: {', '.join(known)}"
                )
            _check_type(name, value, _words(known[name].type))
        checked: dict[str, Any] = dict(values)
        for name, value in checked.items():
            checked[name] = tuple(value) if isinstance(value, list) else value
        return cls(**checked)

    def key(self, *parts: object) -> str:
        """Content key of a piece: the configuration, the schema and what the piece is made of."""
        text = json.dumps([SCHEMA_VERSION, self.to_dict(), *parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_definite(value: object) -> bool:
    """Whether a value is none of infinite, not a number and empty text."""
    if isinstance(value, tuple):
        return all(map(_is_definite, value))
    return math.isfinite(value) if isinstance(value, float) else value != ""


def _check(ok: bool, name: str, value: object, remedy: str) -> None:
    if not ok:
        option = name.replace("_", "-")
        raise InputError(f"option --{option} (key {name}) cannot be {value!r}", remedy)


def _words(declared: object) -> str:
    """Return a field's type as its annotation reads: ``float``, ``int | None``."""
    return str(declared).removeprefix("<class '").removesuffix("'>")


def _check_type(name: str, value: object, declared: str) -> None:
    """Refuse a TOML value that its field does not take."""
    if "tuple" in declared:
        ok = isinstance(value, (list, tuple))
    elif isinstance(value, str):
        ok = "str" in declared or "Literal" in declared
    else:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        ok = number and ("float" in declared or ("int" in declared and isinstance(value, int)))
    ok = ok or (value is None and "None" in declared)
    _check(ok, name, value, f"its type is {declared}")


def load_config(path: Path) -> dict[str, Any]:
    """Read a TOML file of configuration keys.

    Raises
    ------
    InputError
        If the file cannot be read, is not TOML, or has a key or value that `Config` refuses.
    """
    try:
        values = tomllib.loads(path.read_text())
        Config.from_dict(values)
    except InputError as error:
        raise InputError(f"{path}: {error.what}", error.remedy) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "give a readable TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not TOML ({error})", "write lines such as thresh = 4.0"
        ) from error
    return values


@dataclass(frozen=True)
class Execution:
    """How and where a run is executed; changes nothing in the catalogue.

    Attributes
    ----------
    workers : int or None
        Worker processes of the cluster on this machine (None: one a core or GPU); 0 runs a plain
        loop in this process.
    scheduler : str or None
        Address or scheduler file of an existing cluster.
    memory_limit : str or None
        Memory of a worker, such as ``4GiB``.
    performance_report : str or None
        HTML file for Dask's performance report.
    metrics : int or None
        Port of this machine where Prometheus is told the counts.
    wait : float
        Seconds without any worker after which the run stops.
    hang : float
        Seconds without any outcome after which what is in hand is given up.
    tls_ca, tls_cert, tls_key : str or None
        Certificates of an encrypted connection to the scheduler, PEM files.
    strict : bool
        Stop at the first failure.
    overwrite : bool
        Delete an existing run directory first.
    quiet, verbose : bool

    Raises
    ------
    InputError
        For options that contradict each other.
    """

    workers: int | None = None
    scheduler: str | None = None
    memory_limit: str | None = None
    performance_report: str | None = None
    metrics: int | None = None
    wait: float = 300.0
    hang: float = 1800.0
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    strict: bool = False
    overwrite: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.workers is not None:
            raise InputError(
                "--workers with --scheduler", "leave one out: a running cluster has its workers"
            )
        for name in ("wait", "hang"):
            _check(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        if self.performance_report is not None and self.workers == 0:
            raise InputError(
                "--performance-report with --workers 0", "leave one out: Dask is not used then"
            )
