"""Pictures of sources: for every kind of row, and refused in one line where there is none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from command_line import surveyfit
from matplotlib.image import imread

from surveyfit.report.compass import LETTER
from surveyfit.report.quantities import plain, readable_unit, with_error
from surveyfit.report.read_source import read_source
from surveyfit.report.source_figure import draw
from surveyfit.report.source_words import NOT_GOOD, describe, flag_words
from surveyfit.run.directory import RunDirectory
from surveyfit.schema import Flag

NAN = float("nan")


@pytest.fixture(scope="module")
def rows(small):
    catalogue = pd.read_parquet(small / "run" / "catalog.parquet")
    return catalogue.sort_values("snr", ascending=False)


@pytest.fixture(scope="module")
def view(small, rows):
    return read_source(RunDirectory.open(small / "run"), int(rows["source_id"].iloc[0]))


def words(view) -> str:
    return "\n".join(f"{label} {text}" for label, text in describe(view))


def texts(figure) -> str:
    """Return all letters of a picture."""
    return "\n".join(
        t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )


def test_a_picture_and_the_numbers_are_made_for_each_source(small, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = rows["source_id"].iloc[:2]
    answer = surveyfit("inspect", small / "run", first, rows["name"].iloc[1])
    assert answer.status == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f"{first}.png", f"{second}.png"])
    height, width, _ = imread(tmp_path / f"{first}.png").shape
    assert width == 1430
    assert 500 < height < 1200
    assert str(first) in answer.out
    assert f"S/N {plain(rows['snr'].iloc[0])}" in answer.out


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["12345"], "has no source 12345: the nearest is "),
        (["FIRST", "-o", "a.pdf"], "a.pdf: pictures are PNG: let its name end in .png"),
        (["FIRST", "SECOND", "-o", "a.png"], "2 sources for one file, a.png: leave -o out"),
        (["FIRST", "-o", "nowhere/there"], "nowhere/there: pictures are PNG"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    small, rows, tmp_path, monkeypatch, options, line
):
    monkeypatch.chdir(tmp_path)
    known = dict(zip(("FIRST", "SECOND"), map(str, rows["source_id"]), strict=False))
    answer = surveyfit("inspect", small / "run", *(known.get(o, o) for o in options))
    assert answer.status == 2
    assert line in answer.err
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_stretch_ends_at_the_peak_and_is_the_same_on_both_sides(view):
    from surveyfit.report.draw_source import stretches

    above, around = stretches(view)
    assert above.top == around.top == -around.bottom == pytest.approx(view.row["fit_amp"])
    assert above.width == around.width
    assert around.place(0.0) == pytest.approx(0.5)
    assert float(around.norm(view.row["local_rms"])) == pytest.approx(
        around.place(view.row["local_rms"])
    )


def test_a_fit_without_numbers_is_drawn_and_says_so(view):
    lost = {k: NAN for k, v in view.row.items() if isinstance(v, float)}
    kept = {k: view.row[k] for k in ("local_rms", "local_bkg")}
    row = view.row | lost | kept | {"flags": int(Flag.NO_DATA), "fit_status": 5, "name": ""}
    blank = replace(view, row=row)
    assert "no fit" in texts(draw(blank))
    assert "peak unknown, S/N unknown" in words(blank)
    assert "no_data" in words(blank)


def test_without_world_coordinates_the_bar_counts_pixels_and_there_is_no_compass(view):
    plain_view = replace(view, jacobian=np.full((2, 2), NAN))
    shown = texts(draw(plain_view))
    assert " px" in shown
    assert "\nN\n" not in shown
    assert "\nN\n" in texts(draw(view))


def test_the_compass_points_to_north_and_east(view):
    turned = replace(view, jacobian=np.array([[0.0, 1.0], [0.5, 0.0]]))  # north +x, east +y
    panel = draw(turned).axes[0]
    letters = {t.get_text(): np.array(t.get_position()) for t in panel.texts}
    foot = letters["N"] - [LETTER * view.side, 0]
    np.testing.assert_allclose(letters["E"] - foot, [0, LETTER * view.side], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_any_size_of_the_numbers_can_be_drawn(view, scale):
    of_image = ("fit_amp", "fit_bkg", "local_rms", "local_bkg", "gamma", "flux_peak")
    row = view.row | {name: scale * view.row[name] for name in of_image} | {"flux_unit": ""}
    data = (scale * view.data.astype(float)).astype(np.float32)
    shown = texts(draw(replace(view, row=row, data=data, noise=scale * view.noise)))
    assert "image units above the level of" in shown


def test_a_neighbour_that_reaches_beyond_the_cutout_does_not_widen_the_picture(view):
    x, y = view.corner
    big = {"x": x + 1.0, "y": y + 1.0, "maj_pix": 40.0, "min_pix": 30.0, "pa_pix": 10.0}
    panel = draw(replace(view, neighbours=(big,))).axes[0]
    assert panel.get_xlim() == (x - 0.5, x + view.side - 0.5)
    assert panel.get_ylim() == (y - 0.5, y + view.side - 0.5)


def test_a_negative_amplitude_can_be_drawn(view):
    row = view.row | {"fit_amp": -5.0, "flags": int(Flag.NEGATIVE_AMP)}
    assert "negative_amp" in texts(draw(replace(view, row=row)))


def test_why_pixels_are_not_shown_stands_in_the_picture(view):
    assert "the image has changed" in texts(draw(replace(view, note="the image has changed since")))


def test_dollars_in_the_name_of_an_image_are_no_formula(view, tmp_path):
    row = view.row | {"image": "a$\\frac$.fits"}
    draw(replace(view, row=row)).savefig(tmp_path / "a.png")


def test_flags_that_spoil_a_row_come_first_and_are_marked(view):
    flags = int(Flag.MASKED_PIXELS | Flag.SATURATED)
    first, second = flag_words({"flags": flags})
    assert first.startswith(f"{NOT_GOOD} saturated: saturated pixels in the source")
    assert second.startswith("- masked_pixels: ")


def test_units_get_the_prefix_that_suits_the_number():
    assert readable_unit("Jy/beam", 3.2) == (1.0, "Jy/beam")
    assert readable_unit("Jy/beam", 4e-5) == (1e-6, "µJy/beam")
    assert readable_unit("Jy", -0.02) == (1e-3, "mJy")
    assert readable_unit("electron", 533.0) == (1.0, "electron")
    assert readable_unit("", 4e-12) == (1e-12, "\N{MULTIPLICATION SIGN}10⁻¹² image units")
    assert readable_unit("adu", NAN) == (1.0, "adu")


def test_numbers_end_where_their_errors_begin():
    assert with_error(12.3456, 0.123) == "12.35 ± 0.12"
    assert with_error(12.3456, 0.0987, "arcsec") == "12.346 ± 0.099 arcsec"
    assert with_error(12345.6, 250.0) == "12346 ± 250"
    assert with_error(1.5, NAN, "px") == "1.500 ± ? px"
    assert with_error(NAN, NAN, "px") == "unknown"


def test_numbers_without_errors_are_short():
    assert [plain(v) for v in (0.00123456, -123456.7, 1.5e-9, 0.0)] == [
        "0.001235",
        "-123457",
        "1.5e-09",
        "0",
    ]
