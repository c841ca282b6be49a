"""What a worker has to say beside its results: warnings, brought to the person at the terminal."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from surveyfit.errors import HalvedWarning


@contextmanager
def noted() -> Iterator[list[str]]:
    """Give a list that, after the block, holds our warnings, each once; others go their way."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", HalvedWarning)
        yield notes
    for warning in caught:
        if not issubclass(warning.category, HalvedWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        elif str(warning.message) not in notes:
            notes.append(str(warning.message))
