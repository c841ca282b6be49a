"""Tables of artificial sources for tests."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from surveyfit.sky.described import described
from surveyfit.sky.image import Image
from surveyfit.sky.injected import INJECTED_COLUMNS
from surveyfit.sky.parts import write_parquet


def write_injected(path: Path, image: Image, **columns: ArrayLike) -> str:
    """Write round sources of sigma 2 and peak 1000, but for what is given; return the path."""
    n = len(np.atleast_1d(columns["x"]))
    values = {
        "number": np.arange(n, dtype=np.int32),
        "path": np.full(n, image.path),
        "digest": np.full(n, image.digest),
        "hdu": np.full(n, image.hdu, np.int32),
        "plane": np.full(n, ",".join(map(str, image.plane))),
        "amp": np.full(n, 1000.0),
        "cxx": np.full(n, 4.0),
        "cxy": np.zeros(n),
        "cyy": np.full(n, 4.0),
        "gain": np.full(n, np.nan),
        "noise_seed": np.arange(n),
        "point_like": np.ones(n, np.int32),
    } | {name: np.atleast_1d(column) for name, column in columns.items()}
    write_parquet(described(INJECTED_COLUMNS, values, None), path)
    return str(path)
