"""Small matrices, judged by numpy's library."""

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit.small import bordered, product, solve_made_positive, times

RNG = np.random.default_rng(90)
ORTHOGONAL = np.linalg.qr(RNG.normal(size=(50, 7, 7)))[0]


def matrices(values: np.ndarray) -> np.ndarray:
    """Return symmetric matrices (50, 7, 7) with eigenvalues (50, 7)."""
    return (ORTHOGONAL * values[:, None, :]) @ ORTHOGONAL.swapaxes(1, 2)


def solve(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(True):
        solved = jax.jit(jax.vmap(lambda a, b: solve_made_positive(a, b, 1e-9)))(matrix, right)
        return np.asarray(solved[0]), np.asarray(solved[1])


def test_a_positive_definite_system_is_solved() -> None:
    matrix, right = matrices(RNG.uniform(0.05, 2.0, (50, 7))), RNG.normal(size=(50, 7, 2))
    found, positive = solve(matrix, right)
    assert positive.all()
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10, atol=1e-10)


def test_an_indefinite_matrix_is_told_and_its_step_still_goes_downhill() -> None:
    values = RNG.uniform(0.05, 2.0, (50, 7))
    values[:, :3] *= RNG.choice([-1, 1], (50, 3))
    gradient = RNG.normal(size=(50, 7, 1))
    found, positive = solve(matrices(values), -gradient)
    np.testing.assert_array_equal(positive, (values > 0).all(axis=1))
    assert (np.sum(found * gradient, axis=(1, 2)) < 0).all()


def test_products_are_those_of_numpy() -> None:
    a, b = ORTHOGONAL[0], ORTHOGONAL[1]
    with jax.enable_x64(True):
        np.testing.assert_allclose(product(jnp.asarray(a), jnp.asarray(b)), a @ b, atol=1e-14)
        np.testing.assert_allclose(times(jnp.asarray(a), jnp.asarray(b[0])), a @ b[0], atol=1e-14)
        square = bordered(jnp.asarray(a[:2, :2]), jnp.asarray(b[0, :2]), jnp.asarray(3.0))
    np.testing.assert_array_equal(square, np.block([[a[:2, :2], b[0, :2, None]], [b[0, :2], 3.0]]))
