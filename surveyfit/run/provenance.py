"""Where a catalogue comes from, gathered from the record of its run and from its images."""

from collections.abc import Iterable, Sequence

from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.image_labels import image_labels
from surveyfit.run.pieces import Stage
from surveyfit.sky.about import Provenance
from surveyfit.sky.find import printable_texts

SAME_EPOCH = 1.0
"""Days within which observations count as of one epoch: no star moves 0.03 arcsec in that time."""


def provenance_of(
    directory: RunDirectory,
    measured: Iterable[Receipt] | None = None,
    *,
    with_times: bool = True,
) -> Provenance:
    """Tell where the catalogue of a run comes from.

    Parameters
    ----------
    directory : RunDirectory
    measured : iterable of Receipt, optional
        Of the noise of each image; read from the run if not given.
    with_times : bool
        Whether to tell when the run ended and by which command it was made. Without them, runs of
        the same images and options have the same provenance.
    """
    if measured is None:
        measured = (receipt for _, receipt in directory.read_receipts(Stage.NOISE))
    measured = list(measured)
    labels = image_labels(measured)
    # Tables hold neither control characters nor names that are not UTF-8.
    record = printable_texts(directory.record())
    return Provenance(
        versions=record["versions"],
        configuration=record["configuration"],
        images={labels[r["image"]]: r["result"]["image"]["digest"] for r in measured},
        epoch_mjd=_common_epoch([r["result"]["facts"]["epoch_mjd"] for r in measured]),
        finished=record["updated"] if with_times else "",
        command=record["command"] if with_times else "",
    )


def _common_epoch(epochs: Sequence[float | None]) -> float | None:
    """Return the first of the epochs if all are known and the same."""
    known = [epoch for epoch in epochs if epoch is not None]
    if not known or len(known) < len(epochs) or max(known) - min(known) > SAME_EPOCH:
        return None
    return min(known)
