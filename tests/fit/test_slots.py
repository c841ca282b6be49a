"""Slots that refill: every fit gets just the steps it needs, whatever runs beside it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surveyfit.fit.slots import in_blocks, through_slots


def count_down(needed: np.ndarray, count: int, slots: int) -> np.ndarray:
    """Return how many steps each fit was given, when it needs ``needed`` (n,) of them."""

    def begin(source: Any) -> Any:
        return jnp.zeros((), jnp.int32)

    def advance(steps: Any, source: Any) -> Any:
        return steps + 1

    # The state does not know what it needs: it is packed with its source's number.
    def begin_pair(source: Any) -> Any:
        return begin(source), source

    def advance_pair(state: Any, source: Any) -> Any:
        return advance(state[0], source), source

    run = jax.jit(
        lambda sources, n: through_slots(
            sources, n, begin_pair, advance_pair, lambda s: s[0] >= s[1], slots
        )
    )
    return np.asarray(run(jnp.asarray(needed, jnp.int32), count)[0])


@pytest.mark.parametrize("slots", [1, 3, 8, 32])
def test_each_fit_runs_for_as_long_as_it_needs(slots: int) -> None:
    needed = np.random.default_rng(92).integers(1, 20, 32)
    needed[5] = 200
    np.testing.assert_array_equal(count_down(needed, 32, slots), needed)


def test_rows_beyond_the_count_are_not_run() -> None:
    needed = np.full(32, 3)
    steps = count_down(needed, 13, 8)
    np.testing.assert_array_equal(steps, np.where(np.arange(32) < 13, 3, 0))


@pytest.mark.parametrize("count", [0, 1, 12, 16])
def test_blocks_cover_the_rows_that_count(count: int) -> None:
    values = jnp.arange(16.0)
    found = np.asarray(in_blocks(lambda v: v * v, (values,), jnp.asarray(count), 4))
    np.testing.assert_array_equal(found[:count], np.arange(16.0)[:count] ** 2)
