"""The parts of a catalogue as one file of any format, held whole only where the format wants it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from surveyfit.sky.about import Provenance
from surveyfit.sky.arrow_table import write_parquet_tables
from surveyfit.sky.atomic import replacing
from surveyfit.sky.ds9 import HEADER, regions
from surveyfit.sky.export import csv_text, export
from surveyfit.sky.fits_catalogue import write_fits_catalogue
from surveyfit.sky.parts import read_parts, to_table
from surveyfit.sky.row_groups import common_of, tables_of

Writer = Callable[[Sequence[Path], Path, Provenance], None]


def export_parts(parts: Sequence[Path], path: Path, provenance: Provenance) -> None:
    """Write the rows of parts, in their order, as one file; whole or not at all.

    VOTable and ECSV are made of all rows at once; of the others 20 000 rows are held at a time.

    Parameters
    ----------
    parts : sequence of Path
    path : Path
        The file; `surveyfit.sky.export.check_target` must have accepted it.
    provenance : Provenance
        What the file tells of the run, if its format can.

    Raises
    ------
    InputError
        A part that is missing, damaged, or written with other columns.
    """
    write = STREAMED.get(path.suffix.lower())
    if write is None:
        export(to_table(read_parts(parts), provenance), path)
    else:
        write(parts, path, provenance)


def _write_parquet(parts: Sequence[Path], path: Path, provenance: Provenance) -> None:
    common = common_of(parts)
    with replacing(path) as temporary:
        tables = tables_of(parts, common.unit, provenance)
        write_parquet_tables(tables, common.widths, temporary)


def _write_csv(parts: Sequence[Path], path: Path, provenance: Provenance) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for number, table in enumerate(tables_of(parts, None)):
            heading, _, rows = csv_text(table).partition("\n")
            file.write(rows if number else f"{heading}\n{rows}")


def _write_regions(parts: Sequence[Path], path: Path, provenance: Provenance) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(regions(table) for table in tables_of(parts, None))


STREAMED: dict[str, Writer] = {
    ".fits": write_fits_catalogue,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".reg": _write_regions,
}
"""How to write each format that need not be held whole."""
