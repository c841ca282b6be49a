"""What stands in the pages runs: each block of Python and of commands, in the order of the page.

Sybil parses the pages: it knows fences and doctests, names the line that fails, and leaves it to us
where and with which evaluator a block runs. A block that cannot run here says so on the page,
where readers see it too: ``*(not run by our tests: why)*`` stands right before it.
"""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import surveyfit
from markdown_it import MarkdownIt
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.typing import Evaluator

from surveyfit.schema import GOOD

ROOT = Path(__file__).parents[1]
PAGES = {page.stem: page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}

RUN_HERE = {"python", "bash"}
SHOWN_ONLY = {"text", "toml", "{toctree}", "{eval-rst}"}
INSTALLING = {"sh"}
"""Lines of the README that make an environment; .ci/run runs what it can of them."""
ONLY_FOR_A_SHELL = set("$|&;<>*#`")
NOT_RUN = re.compile(r"\*\(not run by our tests: [^*]+\)\*\n+\Z")

MARKED = {
    "README": 2,
    "cluster": 5,
    "first-hour": 2,
    "formats": 1,
    "other-programs": 1,
    "recipes": 3,
}
"""Blocks of a page that do not run here: what rises has to be written down."""

FROM_NOTHING = {"first-hour"}
"""Pages that make their images and their run themselves."""


def run_here(example: Example) -> str | None:
    """Run surveyfit commands in this process, where the compiled fit is shared by all tests.

    So what a page leaves to a cluster of this machine is done by the loop. A block that is more
    than such commands runs in bash. What a failing command said is returned.
    """
    text = str(example.parsed)
    lines = text.replace("\\\n", " ").splitlines()
    if ONLY_FOR_A_SHELL & set(text) or not all(line.startswith("surveyfit ") for line in lines):
        return run_in_bash(example)
    for line in lines:
        words = shlex.split(line)[1:]
        loop = ["--workers", "0"] if words[0] in ("submit", "validate") else []
        answer = surveyfit(*words, *loop)
        if answer.status != 0:
            return f"exit status {answer.status}\n{answer.out}{answer.err}"
    return None


def run_in_bash(example: Example) -> str | None:
    """Run a block as it stands, up to the first command that fails; return what that one said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", str(example.parsed)],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return f"exit status {done.returncode}\n{done.stdout}" if done.returncode else None


def parsed(page: str, commands: Evaluator = run_here) -> Document:
    # Tables end their lines with blanks, which an editor takes away.
    python = PythonCodeBlockParser(doctest_optionflags=doctest.NORMALIZE_WHITESPACE)
    return Sybil([python, CodeBlockParser("bash", commands)]).parse(PAGES[page])


def is_marked(example: Example) -> bool:
    return NOT_RUN.search(example.document.text[: example.start]) is not None


def running(page: str, commands: Evaluator = run_here) -> list[Example]:
    return [example for example in parsed(page, commands).examples() if not is_marked(example)]


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
    """Return where a page is followed, with the images ``sky`` and their ``run`` of a reader."""
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


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(900)  # two clusters and the first compilations
@pytest.mark.parametrize("page", ["first-hour"])
def test_the_first_hour_as_a_reader_has_it(page: str, place: Path) -> None:
    for example in running(page, run_in_bash):
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
