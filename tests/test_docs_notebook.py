"""The page for notebooks prints what it says."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "notebook.md"


def test_the_examples_of_the_page_print_what_it_says() -> None:
    # Tables end their lines with blanks, which an editor takes away.
    options = doctest.NORMALIZE_WHITESPACE
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=options)
    assert result.attempted > 20
    assert result.failed == 0
