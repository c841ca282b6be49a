"""Write docs/columns.md from surveyfit/schema.py: ``python docs/make_columns.py``."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from surveyfit.schema import (
    COLUMNS,
    FIT_STATUS_WORDS,
    FLAG_WORDS,
    FLUX_UNIT,
    GOOD,
    IMAGE_UNIT,
    N_PARAMETERS,
    PACKED,
    PARAMETERS,
    Column,
    Flag,
)
from surveyfit.sky.image_table import IMAGE_COLUMNS

PAGE = Path(__file__).parent / "columns.md"

UNIT_WORDS = {IMAGE_UNIT: "BUNIT", FLUX_UNIT: "BUNIT; Jy for Jy/beam"}
"""What stands for the units that depend on the image."""

INTRODUCTION = f"""\
# The columns of the catalogue

This page is made from `surveyfit/schema.py` by `docs/make_columns.py`; `surveyfit columns` and
`surveyfit flags` print the same. One row is one detected source, also where its fit failed:
missing is NaN. Pixels count from zero, with centres on integers. `pixel` in a column of the
model is a pixel of the image. Units are those of the [VOUnits](https://www.ivoa.net/documents/VOUnits/)
standard, UCDs those of [UCD1+](https://www.ivoa.net/documents/UCD1+/); BUNIT is the image's own
unit, row by row in `flux_unit`.

Good rows, to be taken without reading further, are those with `flags & {GOOD} == 0`.
"""


def columns_page() -> str:
    """Return the page as Markdown."""
    groups = groupby(COLUMNS, key=lambda column: column.group)
    sections = [INTRODUCTION]
    sections += [_column_section(name.capitalize(), tuple(group)) for name, group in groups]
    sections += [_covariance_section(), _flag_section(), _status_section()]
    sections.append(_column_section("The table of images, `images.parquet`", IMAGE_COLUMNS))
    return "\n".join(sections)


def _column_section(title: str, columns: tuple[Column, ...]) -> str:
    rows = (
        (
            f"`{column.name}`",
            UNIT_WORDS.get(column.unit, column.unit),
            column.meaning,
            column.dtype,
            f"`{column.ucd}`",
        )
        for column in columns
    )
    return f"## {title}\n\n{_table(('column', 'unit', 'meaning', 'type', 'UCD'), rows)}"


def _covariance_section() -> str:
    rows = ((str(k), PARAMETERS[i], PARAMETERS[j]) for k, (i, j) in enumerate(PACKED))
    words = (
        f"`fit_cov` and `fit_cov_crb` hold the {len(PACKED)} elements of the upper triangle of a\n"
        f"{N_PARAMETERS} x {N_PARAMETERS} matrix, row by row; the unit of an element is the "
        "product of the units of its two\nparameters. In CSV files they are the columns "
        "`fit_cov_0`, `fit_cov_1` and so on.\n"
    )
    return f"## Elements of the covariances\n\n{words}\n{_table(('element', 'of', 'and'), rows)}"


def _flag_section() -> str:
    rows = (
        (str(flag.value), f"`{_flag_name(flag)}`", "" if flag & GOOD else "yes", words)
        for flag, words in FLAG_WORDS.items()
    )
    return f"## Flags\n\n{_table(('bit', 'name', 'still good', 'meaning'), rows)}"


def _flag_name(flag: Flag) -> str:
    return str(flag.name).lower()


def _status_section() -> str:
    rows = ((str(status.value), words) for status, words in FIT_STATUS_WORDS.items())
    return f"## Values of fit_status\n\n{_table(('value', 'meaning'), rows)}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(_escaped(cells))} |\n" for cells in lines)


def _escaped(cells: Iterable[str]) -> Iterable[str]:
    return (cell.replace("|", "\\|") for cell in cells)


if __name__ == "__main__":
    PAGE.write_text(columns_page(), encoding="utf-8")
