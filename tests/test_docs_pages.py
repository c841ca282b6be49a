"""What stands in the pages runs: each block of Python and of commands, in the order of the page.

Sybil parses the pages: it knows fences and doctests, names the line that fails, and leaves it to us
where and with which evaluator a block runs. A block that cannot run here says so on the page,
where readers see it too: ``*(not run by our tests: why)*`` stands right before it.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from surveyfit.schema import GOOD

ROOT = Path(__file__).parents[1]
PAGES = {page.stem: page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}

RUN_HERE = {"python", "bash"}
SHOWN_ONLY = {"text", "toml", "{toctree}", "{eval-rst}"}
INSTALLING = {"sh"}
"""Lines of the README that make an environment; .ci/run runs what it can of them."""
NOT_RUN = re.compile(r"\*\(not run by our tests: [^*]+\)\*\n+\Z")

MARKED = {
    "README": 2,
    "cluster": 5,
}
"""Blocks of a page that do not run here: what rises has to be written down."""

FROM_NOTHING = {"first-hour"}
"""Pages that make their images and their run themselves."""


def run_commands(example: Example) -> str | None:
    """Run a block in bash, which stops at the first command that fails; return what it said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", str(example.parsed)],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return f"exit status {done.returncode}\n{done.stdout}" if done.returncode else None


def parsed(page: str) -> Document:
    # Tables end their lines with blanks, which an editor takes away.
    python = PythonCodeBlockParser(doctest_optionflags=doctest.NORMALIZE_WHITESPACE)
    return Sybil([python, CodeBlockParser("bash", run_commands)]).parse(PAGES[page])


def is_marked(example: Example) -> bool:
    return NOT_RUN.search(example.document.text[: example.start]) is not None


def running(page: str) -> list[Example]:
    return [example for example in parsed(page).examples() if not is_marked(example)]


def fences(page: str) -> list[str]:
    """Return the language of each fenced block."""
    tokens = MarkdownIt().parse(PAGES[page].read_text(encoding="utf-8"))
    return [token.info for token in tokens if token.type == "fence"]


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    survey: Path,
    plain_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Return where a page is followed: with the images ``sky`` and their ``run``, as a reader has."""
    if request.getfixturevalue("page") not in FROM_NOTHING:
        (tmp_path / "sky").symlink_to(survey)
        shutil.copytree(plain_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if running(page)])
def test_the_blocks_of_a_page_run(page: str, place: Path) -> None:
    for example in running(page):
        example.evaluate()


def test_the_blocks_that_do_not_run_are_counted() -> None:
    counts = {page: sum(map(is_marked, parsed(page).examples())) for page in PAGES}
    assert {page: count for page, count in counts.items() if count} == MARKED


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    assert set(fences(page)) <= RUN_HERE | SHOWN_ONLY | (INSTALLING if page == "README" else set())


def test_pages_give_the_number_of_good_rows_that_the_schema_has() -> None:
    text = " ".join(page.read_text(encoding="utf-8") for page in PAGES.values())
    numbers = re.findall(r"flags & (\d+)\)? == 0", text)
    assert len(numbers) >= 2
    assert set(numbers) == {str(GOOD)}


@pytest.mark.parametrize("page", ["run-directory"])
def test_the_examples_of_the_run_directory_find_what_they_look_for(page: str, place: Path) -> None:
    brightest, *_, digests = running(page)
    brightest.evaluate()
    found = brightest.namespace
    assert all(4 < found[axis] < 124 for axis in "xy"), "well inside of a cutout of 32 to 128"
    part = min((place / "run" / "catalog.parquet").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(AssertionError, match=part.name):
        digests.evaluate()
