"""docs/images.md names every card that the code reads, in the order in which they count."""

from pathlib import Path

import pytest

from surveyfit.sky import photometry_cards, time_cards

PAGE = (Path(__file__).parents[1] / "docs" / "images.md").read_text()


@pytest.mark.parametrize(
    "cards",
    [
        photometry_cards.FILTER_CARDS,
        photometry_cards.FILTER_WHEELS,
        photometry_cards.EXPOSURE_CARDS,
        photometry_cards.ZEROPOINT_CARDS,
        (photometry_cards.ZEROPOINT_PER_SECOND,),
        (photometry_cards.FLUX_OF_MAGNITUDE_0,),
        time_cards.START_CARDS,
        time_cards.MIDDLE_CARDS,
        time_cards.END_CARDS,
        (time_cards.CLOCK,),
    ],
)
def test_the_page_names_the_cards_in_their_order(cards: tuple[str, ...]) -> None:
    assert ", ".join(f"`{card}`" for card in cards) in PAGE


def test_the_page_names_the_time_scales() -> None:
    *first, last = time_cards.SCALES
    assert f"{', '.join(first)} or {last}" in PAGE
