"""A survey of many small pieces, and what its catalogue must be."""

from pathlib import Path
from typing import NamedTuple

from catalogue_digest import Catalogue, read_catalogue
from command_line import surveyfit

from surveyfit.sky.simulate import simulate


class Survey(NamedTuple):
    """Images, the words that submit them, and the right answer.

    Attributes
    ----------
    words : tuple
        Images and options of ``surveyfit submit``, but where it runs.
    pieces : int
        Receipts of the finished run.
    right : Catalogue
        Of a plain loop that nothing disturbed.
    """

    folder: Path
    words: tuple[object, ...]
    pieces: int
    right: Catalogue


def measured(place: Path, *, images: int, size: int, tile: int) -> Survey:
    """Simulate a survey and measure it in this process."""
    simulate(place / "images", images=images, size=size, sources=40, seed=11)
    words = (place / "images", "--tile", tile)
    run = place / "right"
    assert surveyfit("submit", *words, "-o", run, "--workers", 0).status == 0
    pieces = len(list((run / "receipts").iterdir()))
    return Survey(place / "images", words, pieces, read_catalogue(run))
