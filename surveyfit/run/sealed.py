"""JSON files that carry the SHA-256 of their own text: damage to any byte of them is noticed.

The digest is the last entry, ``"sha256"``, of what the file would be without that entry.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surveyfit.errors import InputError
from surveyfit.sky.atomic import replacing

MEND = "give 'surveyfit verify --repair' the run's folder, then submit again"

_SEAL = ',\n "sha256": "'
_END = "\n}"


class DamagedError(InputError):
    """A sealed file that does not hold what was written into it."""


def write_json(path: Path, content: object) -> None:
    """Write a JSON file that is there whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object and its seal; the file is there whole or not at all."""
    text = json.dumps(content, indent=1)
    with replacing(path) as temporary:
        temporary.write_text(text.removesuffix(_END) + _seal(text))


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    DamagedError
        If a byte of it is not as it was written.
    """
    try:
        body, found, rest = path.read_bytes().decode().rpartition(_SEAL)
        intact = bool(found) and found + rest == _seal(body + _END)
    except UnicodeDecodeError:
        intact = False
    if not intact:
        raise DamagedError(
            f"{path} is damaged",
            MEND,
        )
    content: dict[str, Any] = json.loads(body + _END)
    return content


def _seal(text: str) -> str:
    return f'{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}"{_END}\n'
