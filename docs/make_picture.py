"""Draw docs/picture.png: what comes out of a run of the simulated survey, beside the truth.

    surveyfit simulate sky && surveyfit submit sky -o run
    python docs/make_picture.py run sky docs/picture.png

The numbers on the picture are printed too.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from astropy.io import fits
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.stats import norm

from surveyfit.fit.model import gaussian
from surveyfit.schema import GOOD, PARAMETERS

GOOD_COLOUR, FLAGGED_COLOUR, GREY = "#0072b2", "#d55e00", "0.55"

FIELD = "sky_0001.fits"
CORNER, SIDE = (322, 268), 140
"""Column and row of the first pixel, and side, of the part of the field that is shown."""

SOFTENING, BLACK = 4.0, 60.0
"""Noises over the sky where the grey scale turns from linear to logarithmic, and where it ends."""

DRAWN_FWHM = 2.0
"""An ellipse is drawn with axes of this many FWHM, so that the source can be seen inside."""

EXAMPLE_SNR, EXAMPLE_AXIS_RATIO = 60.0, 0.6
"""The source shown alone: the one nearest to this S/N among those more elongated than this."""

EXAMPLE_REACH = 15
"""Pixels around it."""

MATCH_RADIUS = 1.5
"""Pixels between a true and a fitted position."""

ISOLATED = 12.0
"""Pixels to the nearest true neighbour, from which on a source counts as isolated."""


def match(catalogue: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Join each row with the nearest true source of its image, if it is near enough."""
    joined = []
    for image, rows in catalogue.groupby("image"):
        true = truth[truth["image"] == image]
        distance, nearest = KDTree(true[["x", "y"]]).query(rows[["x", "y"]].fillna(np.inf))
        near = distance < MATCH_RADIUS
        columns = true.iloc[nearest[near]].add_prefix("true_").set_index(rows.index[near])
        joined.append(rows[near].join(columns))
    return pd.concat(joined)


def draw_field(axes: Axes, pixels: NDArray[np.float32], rows: pd.DataFrame) -> None:
    """Draw a part of an image with an ellipse around every source."""
    level, noise = np.median(pixels), rows["local_rms"].median()
    scaled = np.arcsinh((pixels - level) / (SOFTENING * noise))
    axes.imshow(
        scaled, origin="lower", cmap="gray_r", vmin=-0.5, vmax=np.arcsinh(BLACK / SOFTENING)
    )
    for row in rows.itertuples():
        colour = FLAGGED_COLOUR if row.flags & GOOD else GOOD_COLOUR
        axes.add_patch(
            Ellipse(
                (row.x - CORNER[0], row.y - CORNER[1]),
                DRAWN_FWHM * row.maj_pix,
                DRAWN_FWHM * row.min_pix,
                angle=row.pa_pix,
                fill=False,
                color=colour,
                lw=1.4,
            )
        )
    axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(-0.5, SIDE - 0.5))
    handles = [Line2D([], [], color=c, lw=1.4) for c in (GOOD_COLOUR, FLAGGED_COLOUR)]
    names = ["good row", "flagged row"]
    axes.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False)
    axes.set_title(f"{SIDE} x {SIDE} pixels of {FIELD}")


def draw_example(panels: list[Axes], pixels: NDArray[np.float32], row: pd.Series) -> None:
    """Draw data, model and residual around one source."""
    x, y = round(row["x"]), round(row["y"])
    columns = np.arange(x - EXAMPLE_REACH, x + EXAMPLE_REACH + 1)
    lines = np.arange(y - EXAMPLE_REACH, y + EXAMPLE_REACH + 1)
    data = pixels[np.ix_(lines, columns)]
    params = row[[f"fit_{name}" for name in PARAMETERS]].to_numpy(float)
    model = gaussian(params, columns, lines[:, None], np)
    reach = 5 * row["local_rms"]
    low, high = row["fit_bkg"] - reach, row["fit_bkg"] + row["fit_amp"]
    panels[0].imshow(data, origin="lower", cmap="gray_r", vmin=low, vmax=high)
    panels[1].imshow(model, origin="lower", cmap="gray_r", vmin=low, vmax=high)
    panels[2].imshow(data - model, origin="lower", cmap="RdBu_r", vmin=-reach, vmax=reach)
    titles = (f"data, S/N {row['snr']:.0f}", "fitted model", "residual, 5 sigma scale")
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)


def draw_pulls(axes: Axes, isolated: pd.Series, crowded: pd.Series) -> None:
    """Draw the distribution of (fit - truth) / error and the one that it should be."""
    edges = np.linspace(-5, 5, 41)
    width = edges[1] - edges[0]
    axes.hist(
        [np.clip(isolated, -5, 5), np.clip(crowded, -5, 5)],
        edges,
        stacked=True,
        color=[GOOD_COLOUR, "#a6cbe3"],
        label=[
            f"isolated ({len(isolated)}), spread {isolated.std():.2f}",
            f"neighbour within {ISOLATED:.0f} px ({len(crowded)})",
        ],
    )
    z = np.linspace(-5, 5, 201)
    expected = len(isolated) * width * norm.pdf(z)
    axes.plot(z, expected, color="black", lw=1.2, label="expected of isolated ones")
    axes.set(xlim=(-5, 5), xlabel="(fitted flux - true flux) / its error", yticks=[])
    axes.margins(y=0.12)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.02, 1.06), fontsize=8)


def draw(run: Path, survey: Path, target: Path) -> None:
    """Draw the picture of a run of the simulated survey."""
    catalogue = pd.read_parquet(run / "catalog.parquet")
    matched = match(catalogue[catalogue["flags"] & GOOD == 0], pd.read_csv(survey / "truth.csv"))
    pull = (matched["flux_int"] - matched["true_flux"]) / matched["flux_int_err"]
    alone = matched["true_nearest_pix"] > ISOLATED
    thin = matched["min_pix"] < EXAMPLE_AXIS_RATIO * matched["maj_pix"]
    examples = matched[alone & thin & (matched["image"] == FIELD)]
    example = examples.loc[(examples["snr"] - EXAMPLE_SNR).abs().idxmin()]
    pixels = fits.getdata(survey / FIELD)
    shown = slice(CORNER[1], CORNER[1] + SIDE), slice(CORNER[0], CORNER[0] + SIDE)

    mpl.rcParams.update({"font.size": 9, "axes.titlesize": 9.5})
    figure = plt.figure(figsize=(10, 4.9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.04])
    top, bottom = right.subfigures(2, 1, height_ratios=[0.82, 1])
    panels = [left.subplots(), *top.subplots(1, 3)]
    draw_field(panels[0], pixels[shown], catalogue[catalogue["image"] == FIELD])
    draw_example(panels[1:], pixels, example)
    draw_pulls(bottom.subplots(), pull[alone], pull[~alone])
    for panel in panels:
        panel.set(xticks=[], yticks=[])
    figure.savefig(target, dpi=170)
    print(f"good rows with a true source within {MATCH_RADIUS} px: {len(matched)}")
    for name, some in (("isolated", pull[alone]), ("others", pull[~alone])):
        print(f"{name}: {len(some)}, mean {some.mean():.2f}, standard deviation {some.std():.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for argument in ("run", "survey", "target"):
        parser.add_argument(argument, type=Path)
    draw(**vars(parser.parse_args()))
