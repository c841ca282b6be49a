"""A table as a VOTable: the file format, and the description inside parquet footers."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

from astropy.io.votable import from_table
from astropy.io.votable.converters import get_converter
from astropy.io.votable.exceptions import W50
from astropy.io.votable.tree import CooSys, Param, TimeSys, VOTableFile
from astropy.table import Table
from astropy.time import Time

from surveyfit.sky.about import Entry, entries

ON_THE_SKY = ("ra", "dec")
"""Columns that are coordinates in ICRS."""

EPOCH = "time.epoch"
"""UCD of a column of epochs: modified Julian dates, UTC, as observatories write them."""


def as_votable(table: Table) -> VOTableFile:
    """Turn a table into a VOTable 1.4 whose positions refer to ICRS and whose dates to UTC.

    What the table says about itself (`surveyfit.sky.about`) becomes parameters.
    """
    with _units_beyond_vounit():
        votable = from_table(table)
    _settle_types(votable)
    _refer_to_systems(votable, table.meta.get("epoch_mjd"))
    parameters = votable.get_first_table().params
    for number, entry in enumerate(entries(table.meta)):
        parameters.append(_param(votable, f"about{number}", entry))
    return votable


def _refer_to_systems(votable: VOTableFile, epoch_mjd: float | None) -> None:
    """Name the frame of positions, and the scale of dates where there are any."""
    resource = votable.resources[0]
    epoch = None if epoch_mjd is None else f"J{Time(epoch_mjd, format='mjd').jyear:.4f}"
    for field in resource.tables[0].fields:
        if field.name in ON_THE_SKY:
            field.ref = "icrs"
        elif field.ucd == EPOCH:
            field.ref = "utc"
    refs = {field.ref for field in resource.tables[0].fields}
    if "icrs" in refs:
        resource.coordinate_systems.append(CooSys(ID="icrs", system="ICRS", epoch=epoch))
    if "utc" in refs:
        # Headers do not tell whether a date was reduced to the centre of the Earth.
        scale = {"timeorigin": "MJD-origin", "timescale": "UTC", "refposition": "UNKNOWN"}
        config = {"version_1_4_or_later": True}
        resource.time_systems.append(TimeSys(ID="utc", config=config, **scale))


def _settle_types(votable: VOTableFile) -> None:
    """Make texts of any length, and truth values boolean.

    astropy writes texts with the room of the longest, where room for one is deprecated, and truth
    values as bits, which STILTS cannot read in BINARY2.
    """
    for field in votable.get_first_table().fields:
        if field.datatype in ("char", "unicodeChar"):
            field.arraysize = "*"
        elif field.datatype == "bit":
            field.datatype = "boolean"
        else:
            continue
        field.converter = get_converter(field)


def _param(votable: VOTableFile, identifier: str, entry: Entry) -> Param:
    kind: dict[str, Any] = {"datatype": "unicodeChar", "arraysize": "*"}
    if not isinstance(entry.value, str):
        kind = {"datatype": "long" if isinstance(entry.value, int) else "double"}
    param = Param(votable, ID=identifier, name=entry.name, value=entry.value, **kind)
    param.description = entry.meaning
    return param


def write_votable(table: Table, path: Path) -> None:
    """Write a VOTable file; BINARY2 keeps every bit of the floats."""
    votable = as_votable(table)
    with _units_beyond_vounit():
        votable.to_xml(str(path), tabledata_format="binary2")


def votable_header(table: Table) -> str:
    """Describe a table's columns in a VOTable without data."""
    votable = as_votable(table[:0])
    xml = BytesIO()
    with _units_beyond_vounit():
        votable.to_xml(xml)
    return xml.getvalue().decode()


def _units_beyond_vounit() -> warnings.catch_warnings:
    """Let units pass that VOUnit does not list: astronomers do write ``electron`` and ``DN``."""
    return warnings.catch_warnings(action="ignore", category=W50)
