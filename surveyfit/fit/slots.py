"""Many fits in a few slots: a fit that ends makes room for the next one in the queue.

Fits that are vmapped run in step, so that the slowest would set everyone's time. Here as many run
in step as fit the cache (or fill a GPU); each slot takes its next source from a common queue, and a
straggler holds up its own slot only.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def through_slots(
    sources: Any,
    count: jax.Array,
    begin: Callable[[Any], Any],
    advance: Callable[[Any, Any], Any],
    ended: Callable[[Any], jax.Array],
    slots: int,
) -> Any:
    """Run a fit for each of the first ``count`` sources; return the last states (n, ...).

    Parameters
    ----------
    sources : pytree of arrays (n, ...)
    count : array ()
    begin : callable
        The first state of one source.
    advance : callable
        From the state of one fit and its source to its next state; one that has ended stays.
    ended : callable
        Whether a state is the last one.
    slots : int
        Fits in step with each other.
    """
    n = jax.tree.leaves(sources)[0].shape[0]

    def load(index: jax.Array) -> Any:
        return jax.tree.map(lambda column: column.at[index].get(mode="clip"), sources)

    def busy(carry: tuple[Any, ...]) -> jax.Array:
        return jnp.any(carry[0] < count)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        index, states, following, results = carry
        states = jax.vmap(advance)(states, load(index))
        done = jax.vmap(ended)(states)
        row = jnp.where(done & (index < count), index, n)
        results = jax.tree.map(lambda r, s: r.at[row].set(s, mode="drop"), results, states)
        index = jnp.where(done, following + jnp.cumsum(done) - 1, index)
        fresh = jax.vmap(begin)(load(index))
        states = jax.tree.map(lambda new, old: _where_first(done, new, old), fresh, states)
        return index, states, following + jnp.sum(done), results

    index = jnp.arange(slots)
    states = jax.vmap(begin)(load(index))
    results = jax.tree.map(lambda s: jnp.zeros((n, *s.shape[1:]), s.dtype), states)
    return lax.while_loop(busy, step, (index, states, jnp.array(slots), results))[-1]


def in_blocks(
    function: Callable[..., Any], columns: tuple[Any, ...], count: jax.Array, block: int
) -> Any:
    """Return ``function`` of each of the first ``count`` rows, ``block`` rows at a time."""
    n = jax.tree.leaves(columns)[0].shape[0]

    def rows(i: jax.Array) -> Any:
        return jax.tree.map(lambda c: lax.dynamic_slice_in_dim(c, i * block, block), columns)

    def step(i: jax.Array, results: Any) -> Any:
        found = jax.vmap(function)(*rows(i))
        return jax.tree.map(
            lambda r, f: lax.dynamic_update_slice_in_dim(r, f, i * block, axis=0), results, found
        )

    shapes = jax.eval_shape(jax.vmap(function), *rows(jnp.array(0)))
    empty = jax.tree.map(lambda s: jnp.zeros((n, *s.shape[1:]), s.dtype), shapes)
    return lax.fori_loop(0, -(-count // block), step, empty)


def _where_first(chosen: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Return new where ``chosen`` (slots,), else old; both (slots, ...)."""
    return jnp.where(chosen.reshape(-1, *[1] * (new.ndim - 1)), new, old)
