"""What is written of an image's noise is read back."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from noise_images import grid_of, smoothed

from surveyfit.sky.store import read_grid, write_grid


def test_a_noise_grid_survives_the_store(tmp_path: Path) -> None:
    grid = grid_of(smoothed(256, 1, 1.7, 1.7))
    write_grid(tmp_path, "image", grid)
    read = asdict(read_grid(tmp_path, "image"))
    for name, value in asdict(grid).items():
        np.testing.assert_array_equal(read[name], value, err_msg=name)
