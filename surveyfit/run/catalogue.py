"""The end of a run: its parts merged, and the table of its images."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from astropy.table import Table

from surveyfit.errors import InputError
from surveyfit.run.directory import Receipt, RunDirectory
from surveyfit.run.pieces import Stage
from surveyfit.sky.export import export
from surveyfit.sky.find import printable
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.image import Image
from surveyfit.sky.image_table import write_images
from surveyfit.sky.parts import read_parts, to_table

MOST_FITS_ROWS = 2_000_000
"""Above this, 2 GB, the merged FITS table is left to ``surveyfit catalog``."""


def write_catalogue(directory: RunDirectory, images: Collection[Image]) -> tuple[int, str]:
    """Write catalog.fits and images.parquet from all that is committed.

    Parameters
    ----------
    directory : RunDirectory
    images : collection of Image
        The images of this submit; what an earlier one measured of other contents of the same
        files is removed.

    Returns
    -------
    rows : int
    where : str
        A line that tells the user where the catalogue is.
    """
    _remove_superseded(directory, images)
    _remove_strays(directory)
    fitted = list(_fitted(directory))
    write_images(directory.images, _image_rows(directory, fitted))
    rows = sum(receipt["result"]["rows"] for receipt in fitted)
    if rows > MOST_FITS_ROWS:
        directory.catalog_fits.unlink(missing_ok=True)  # of an earlier submit, of fewer images
        return rows, (
            f"{directory.catalog} (too many rows for a FITS file by default; "
            f"'surveyfit catalog {directory.path} -t catalog.fits' writes one)"
        )
    write_fits_catalogue(committed_parts(directory), directory.catalog_fits)
    return rows, f"{directory.catalog_fits} and {directory.catalog}"


def read_catalogue(directory: RunDirectory) -> Table:
    """Read all committed parts of a run, ordered by image and tile."""
    return to_table(read_parts(committed_parts(directory)))


def committed_parts(directory: RunDirectory) -> list[Path]:
    """Return the parts that receipts vouch for; others are ignored."""
    return [directory.catalog / receipt["result"]["part"] for receipt in _fitted(directory)]


def _fitted(directory: RunDirectory) -> Iterator[Receipt]:
    return whole_batches(directory.read_receipts(Stage.FIT))


def whole_batches(receipts: Iterable[Receipt]) -> Iterator[Receipt]:
    """Yield the receipts of fitted batches, without those whose tiles a larger one holds too.

    A batch is fitted without a tile that could not be cut, and whole at a later submit.

    Parameters
    ----------
    receipts : iterable of Receipt
        Of fits, those of an image one after the other.
    """
    for _, of_image in groupby(receipts, key=lambda receipt: receipt["image"]):
        batches = [(receipt, set(receipt["tiles"])) for receipt in of_image]
        for receipt, tiles in batches:
            if not any(tiles < others for _, others in batches):
                yield receipt


def _remove_superseded(directory: RunDirectory, images: Collection[Image]) -> None:
    """Forget what was measured of files whose contents, or companions, have changed since."""
    current = {image.key: image.companions_digest for image in images}
    paths = {image.path for image in images}
    gone = set()
    for stage in (Stage.NOISE, Stage.CUT, Stage.FIT):
        for path in directory.receipt_paths(stage):
            receipt = directory.read_receipt(path)
            image, companions = receipt["image"], receipt["companions"]
            if receipt["path"] in paths and current.get(image) != companions:
                path.unlink()
                gone.add(image)
    for image in gone - current.keys():
        directory.stores.remove(image)
    whole = {receipt["result"]["part"] for receipt in _fitted(directory)}
    for path in directory.receipt_paths(Stage.FIT):
        if directory.read_receipt(path)["result"]["part"] not in whole:
            path.unlink()


def _remove_strays(directory: RunDirectory) -> None:
    """Delete parts without a receipt: of a task that died, or of a file that has changed."""
    committed = set(committed_parts(directory))
    for path in directory.catalog.glob("*.parquet"):
        if path not in committed:
            path.unlink()


def _image_rows(directory: RunDirectory, fitted: list[Receipt]) -> list[dict[str, Any]]:
    tiles: defaultdict[str, list[Receipt]] = defaultdict(list)
    for stage_receipts in (fitted, directory.read_receipts(Stage.CUT)):
        for receipt in stage_receipts:
            tiles[receipt["image"]].append(receipt)
    return [_image_row(r, tiles[r["image"]]) for r in directory.read_receipts(Stage.NOISE)]


def _image_row(measured: Receipt, tiles: list[Receipt]) -> dict[str, Any]:
    result = measured["result"]
    image, facts = result["image"], result["facts"]
    beam = facts["beam"] or {}
    return {
        "image": image["name"],
        "path": printable(image["path"]),
        "hdu": image["hdu"],
        "extname": image["ext"],
        "digest": image["digest"],
        "ny": image["shape"][0],
        "nx": image["shape"][1],
        "beam_maj": beam.get("major"),
        "beam_min": beam.get("minor"),
        "beam_pa": beam.get("pa"),
        **{name: facts[name] for name in ("unit", "epoch_mjd", "filter", "frequency")},
        **{name: facts[name] for name in ("exposure", "gain")},
        "noise": result["noise"],
        "n_tiles": sum(len(r["tiles"]) for r in tiles if r["stage"] == Stage.FIT),
        "n_sources": sum(r["result"].get("rows", 0) for r in tiles),
        "seconds": sum(r["seconds"] for r in (measured, *tiles)),
    }


def export_catalogue(run: Path, target: Path) -> int:
    """Write the catalogue of a run in the format of the target's extension; return its rows.

    Raises
    ------
    InputError
        For a folder that is no run, a run without any part, or an unknown extension.
    """
    directory = RunDirectory.open(run)
    if not committed_parts(directory):
        raise InputError(f"{run}: no catalogue yet", "wait, or submit again")
    table = read_catalogue(directory)
    export(table, target)
    return len(table)
