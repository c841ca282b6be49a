"""The end of a run: its parts merged, and the table of its images."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from astropy.table import Table

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import Receipt, RunDirectory, contents_of
from surveyfit.run.image_rows import ImageSums, image_rows, sum_up
from surveyfit.run.pieces import Stage
from surveyfit.run.primary import Contender, Primaries, contenders
from surveyfit.run.provenance import provenance_of
from surveyfit.sky.export import check_target
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.image import Image
from surveyfit.sky.image_table import images_table, write_images
from surveyfit.sky.parts import count_rows, read_parts, to_table
from surveyfit.sky.streamed import export_parts

MOST_FITS_ROWS = 2_000_000
"""Above this, 2 GB, the merged FITS table is left to ``surveyfit catalog``."""


def write_catalogue(directory: RunDirectory, images: Collection[Image]) -> tuple[int, str]:
    """Write catalog.fits and images.parquet from all that is committed.

    Parameters
    ----------
    directory : RunDirectory
    images : collection of Image
        The images of this submit; what an earlier one measured of other contents of the same
        files, or of the same contents under another name, is removed.

    Returns
    -------
    rows : int
    where : str
        A line that tells the user where the catalogue is.
    """
    current = _Current(directory, images)
    sums = sum_up(current.receipts(Stage.CUT), whole_batches(current.receipts(Stage.FIT)))
    measured = list(current.receipts(Stage.NOISE))
    current.remove_superseded_data()
    parts = [directory.catalog / name for of_image in sums.values() for name in of_image.parts]
    _remove_strays(directory, parts)
    ranked = _ranked(directory, measured, sums)
    primaries = Primaries(directory, ranked)
    for image, of_image in sums.items():
        of_image.secondary = primaries.settle(image, of_image.parts, of_image.secondary)
    write_images(directory.images, image_rows(measured, ranked, sums))
    rows = sum(of_image.rows for of_image in sums.values())
    if rows > MOST_FITS_ROWS:
        directory.catalog_fits.unlink(missing_ok=True)  # of an earlier submit, of fewer images
        return rows, (
            f"{directory.catalog} (too many rows for a FITS file by default; "
            f"'surveyfit catalog {directory.path} -t catalog.fits' writes one)"
        )
    # Runs of the same images and options give the same file, whenever they are made.
    provenance = provenance_of(directory, measured, with_times=False)
    write_fits_catalogue(parts, directory.catalog_fits, provenance)
    return rows, f"{directory.catalog_fits} and {directory.catalog}"


def _ranked(
    directory: RunDirectory, measured: Sequence[Receipt], sums: Mapping[str, ImageSums]
) -> dict[str, Contender]:
    config = Config.from_dict(directory.record()["configuration"])
    return contenders(measured, {image: of.tiles for image, of in sums.items()}, config)


def read_images(directory: RunDirectory) -> Table:
    """Make the table of images of what is committed, also of a run that is still going."""
    measured, cut, fitted = (
        [receipt for _, receipt in directory.read_receipts(stage)]
        for stage in (Stage.NOISE, Stage.CUT, Stage.FIT)
    )
    sums = sum_up(cut, whole_batches(fitted))
    return images_table(image_rows(measured, _ranked(directory, measured, sums), sums))


def read_catalogue(directory: RunDirectory) -> Table:
    """Read all committed parts of a run, ordered by image and tile."""
    return to_table(read_parts(committed_parts(directory)), provenance_of(directory))


def committed_parts(directory: RunDirectory) -> list[Path]:
    """Return the parts that receipts vouch for; others are ignored."""
    fitted = whole_batches(receipt for _, receipt in directory.read_receipts(Stage.FIT))
    return [directory.catalog / receipt["result"]["part"] for receipt in fitted]


def whole_batches(receipts: Iterable[Receipt]) -> Iterator[Receipt]:
    """Yield the receipts of fitted batches, without those that share a tile with a larger one.

    Such are left where a worker that was thought dead has fitted a batch whose halves were fitted
    elsewhere, or where a submit was killed.

    Parameters
    ----------
    receipts : iterable of Receipt
        Of fits, those of an image one after the other.
    """
    for _, of_image in groupby(receipts, key=lambda receipt: receipt["image"]):
        taken: set[str] = set()
        whole = []
        for receipt in sorted(of_image, key=lambda receipt: -len(receipt["tiles"])):
            if taken.isdisjoint(receipt["tiles"]):
                taken.update(receipt["tiles"])
                whole.append(receipt)
        yield from sorted(whole, key=lambda receipt: receipt["tiles"])


class _Current:
    """Tells the receipts that hold from those that the images of this submit supersede.

    Superseded is what was measured of other contents of the same file, with other companions, or
    of the same contents in a file of another name.
    """

    def __init__(self, directory: RunDirectory, images: Collection[Image]) -> None:
        self._directory = directory
        self._companions = {image.key: image.companions_digest for image in images}
        self._paths = {image.path for image in images}
        self._contents = {str(contents_of(image)) for image in images}
        self._gone: set[str] = set()

    def receipts(self, stage: Stage) -> Iterator[Receipt]:
        """Yield the receipts of a stage that hold, by image and tile; the others are deleted."""
        for path, receipt in self._directory.read_receipts(stage):
            if self._is_superseded(receipt):
                path.unlink(missing_ok=True)
                self._gone.add(receipt["image"])
            else:
                yield receipt

    def _is_superseded(self, receipt: Receipt) -> bool:
        same = receipt["path"] in self._paths or str(receipt["contents"]) in self._contents
        return same and self._companions.get(receipt["image"]) != receipt["companions"]

    def remove_superseded_data(self) -> None:
        """Delete what is stored of images for which no receipt vouches any more."""
        for image in self._gone - self._companions.keys():
            self._directory.stores.remove(image)


def _remove_strays(directory: RunDirectory, parts: Collection[Path]) -> None:
    """Delete all parts but these, with their receipts: remains, or a smaller batch of the same."""
    committed = {path.stem for path in parts}
    for path in directory.receipt_paths(Stage.FIT):
        if directory.part_of(path).stem not in committed:
            path.unlink(missing_ok=True)
    for path in directory.catalog.glob("*.parquet"):
        if path.stem not in committed:
            path.unlink(missing_ok=True)


def export_catalogue(run: Path, target: Path) -> int:
    """Write the catalogue of a run in the format of the target's extension; return its rows.

    Raises
    ------
    InputError
        For a folder that is no run, a run without any part, or an unknown extension.
    """
    directory = RunDirectory.open(run)
    check_target(target)
    directory.check_outside(target)
    parts = committed_parts(directory)
    if not parts:
        raise InputError(f"{run}: no catalogue yet", "wait, or submit again")
    export_parts(parts, target, provenance_of(directory))
    return sum(map(count_rows, parts))
