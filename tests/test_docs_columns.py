"""The page of columns in the documentation."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_columns_is_up_to_date():
    columns_page = runpy.run_path(str(DOCS / "make_columns.py"))["columns_page"]
    assert (DOCS / "columns.md").read_text(encoding="utf-8") == columns_page(), (
        "run: python docs/make_columns.py"
    )
