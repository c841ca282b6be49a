"""The examples of docs/run-directory.md do what the page says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "run-directory.md"


def test_the_examples_run(
    plain_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "run").symlink_to(plain_run)
    monkeypatch.chdir(tmp_path)
    brightest, finished, digests = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for example in (brightest, finished, digests):
        exec(example, {})
    # The brightest source lies well inside of its cutout of at least 32 pixels.
    centre = re.search(r"centre at ([\d.]+) ([\d.]+)", capsys.readouterr().out)
    assert centre is not None
    assert all(4 < float(value) < 124 for value in centre.groups())
    part = min((plain_run / "catalog.parquet").iterdir())
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    try:
        with pytest.raises(AssertionError, match=part.name):
            exec(digests, {})
    finally:
        part.write_bytes(content)
