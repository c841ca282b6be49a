"""Measure every source in an image survey; see ``surveyfit --help`` for the commands."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surveyfit.arrays.cutouts import fit_cutouts
    from surveyfit.fit.any_model import fit_model
    from surveyfit.fit.hessian import hessian
    from surveyfit.run.finished import open_run

    __version__: str

__all__ = ["__version__", "fit_cutouts", "fit_model", "hessian", "open_run"]

_HOME = {
    "fit_cutouts": "surveyfit.arrays.cutouts",
    "fit_model": "surveyfit.fit.any_model",
    "hessian": "surveyfit.fit.hessian",
    "open_run": "surveyfit.run.finished",
}


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used: jax alone takes seconds.

    The version is looked up then too, so that a checkout that is not installed can be imported.
    """
    if name == "__version__":
        return version("surveyfit")
    if name not in _HOME:
        raise AttributeError(f"module 'surveyfit' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
