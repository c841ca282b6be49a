"""Algebra of small matrices, written out element by element.

Under vmap each function is a few fused loops over the batch, where the library would be called once
a matrix: for 7 x 7 that call takes longer than its arithmetic.
"""

import jax
import jax.numpy as jnp
import numpy as np


def times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """Return matrix (p, q) times vector (q,)."""
    return jnp.sum(matrix * vector, axis=1)


def product(left: jax.Array, right: jax.Array) -> jax.Array:
    """Return left (p, q) times right (q, r)."""
    return jnp.sum(left[:, :, None] * right[None, :, :], axis=1)


def entries(matrix: jax.Array, rows: np.ndarray, columns: np.ndarray) -> jax.Array:
    """Return the elements [..., rows, columns] for indices that are known to be inside."""
    return matrix.at[..., rows.astype(np.int32), columns.astype(np.int32)].get(
        mode="promise_in_bounds", wrap_negative_indices=False
    )


def bordered(square: jax.Array, edge: jax.Array, corner: jax.Array) -> jax.Array:
    """Return the symmetric matrix (p + 1, p + 1) of a block (p, p), an edge (p,) and a corner."""
    top = jnp.concatenate([square, edge[:, None]], axis=1)
    return jnp.concatenate([top, jnp.append(edge, corner)[None, :]], axis=0)


def solve_made_positive(
    matrix: jax.Array, right: jax.Array, smallest_pivot: float
) -> tuple[jax.Array, jax.Array]:
    """Solve a symmetric system, bending the matrix to be positive definite where it is not.

    Gauss-Jordan elimination without exchange of rows; a pivot that is negative is taken with the
    other sign, one too small is raised (after Gill and Murray 1974).

    Parameters
    ----------
    matrix : array (p, p)
        Scaled to diagonal elements near one in absolute value.
    right : array (p, r)
    smallest_pivot : float

    Returns
    -------
    solution : array (p, r)
    positive : array () of bool
        Whether the matrix was positive definite as given (no pivot was changed).
    """
    p = matrix.shape[0]
    table = jnp.concatenate([matrix, right], axis=1)
    positive = jnp.array(True)
    for k in range(p):
        pivot = table[k, k]
        positive &= pivot > smallest_pivot
        row = table[k] / jnp.maximum(jnp.abs(pivot), smallest_pivot)
        others = jnp.arange(p) != k
        # Row k itself becomes the pivot row; the others lose their column k.
        column = jnp.where(others, table[:, k], 0.0)
        table = jnp.where(others[:, None], table - column[:, None] * row, row)
    return table[:, p:], positive
