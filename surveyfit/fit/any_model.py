"""Fit a model of one's own to many images: any function of parameters and pixel coordinates.

The derivatives come from JAX's composed reverse and forward differentiation, which takes any
function; the Newton driver, the losses and the errors are those of the built-in Gaussian. All in
float64, since nothing is known of the units of the parameters.
"""

from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from surveyfit.errors import InputError
from surveyfit.fit.any_model_input import (
    Images,
    ModelFunction,
    check_function,
    images_of,
    leaders,
)
from surveyfit.fit.any_model_solve import Solution, Task, fit_chunk
from surveyfit.fit.covariance import inverse, sandwich
from surveyfit.fit.loss import LOSSES, Loss, density
from surveyfit.fit.noise_law import noise_law
from surveyfit.fit.on_host import in_chunks
from surveyfit.fit.result import FAILED

PIXELS_IN_STEP = 4 * 32 * 32
"""Pixels of the fits that run in step: second derivatives by autodiff keep many maps of them."""

QUEUE = 64
"""Fits a slot is given in one compiled call; the last call is filled up, so that there is one
compile for each model and size of image."""


class ModelFit(NamedTuple):
    """The fits, one row an image; NaN in the rows of a failed status.

    Attributes
    ----------
    params, errors : array (n, p)
        And their 1-sigma errors, from ``cov``.
    cov, cov_crb : array (n, p, p)
        Sandwich covariance, and the inverse of the Hessian: the Cramer-Rao bound if the noise
        followed the loss. NaN where the matrix is not positive definite.
    nll : array (n,)
        Negative log-likelihood: sum of the loss + log(norm scale) over the used pixels.
    n_pix, n_iter, status : array (n,) of int32
        Used pixels, Newton steps, `surveyfit.schema.FitStatus`.
    """

    params: np.ndarray
    errors: np.ndarray
    cov: np.ndarray
    cov_crb: np.ndarray
    nll: np.ndarray
    n_pix: np.ndarray
    n_iter: np.ndarray
    status: np.ndarray


def fit_model(
    function: ModelFunction,
    pixels: ArrayLike,
    noise: ArrayLike,
    start: ArrayLike,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    fixed: ArrayLike | None = None,
    tied: ArrayLike | None = None,
    gamma: float = 2.4,
    loss: str = "cauchy",
    quantiles: ArrayLike | None = None,
    correlation: ArrayLike | None = None,
    max_iterations: int = 100,
) -> ModelFit:
    """Fit a model to every image; row i of the result belongs to image i.

    Parameters
    ----------
    function : callable
        ``function(params, x, y, xp)`` returns the model (height, width) for parameters (p,), the
        columns x (1, width) and rows y (height, 1) in pixels from the first pixel. It computes
        with the array module ``xp`` and with arithmetic, so that JAX can differentiate it. Each
        function object is compiled once: define it outside of loops.
    pixels : array (n, height, width)
        NaN where not to be used.
    noise : number, array (n,) or (n, height, width)
        1-sigma noise of a pixel, in the unit of the pixels.
    start : array (p,) or (n, p)
        Parameters to start from; where ``fixed``, their values.
    lower, upper : array (p,) or (n, p), optional
        Bounds of the parameters. Bound those whose sign the function does not care about.
    fixed : array (p,) or (n, p) of bool, optional
        Parameters that stay where they start; their errors are zero.
    tied : array (p,) of int, optional
        For each parameter the place of the one whose value it takes, its own place if it is free:
        with ``[0, 1, 2, 1]`` the last one equals the second one.
    gamma : float
        Scale of the likelihood, in noises of a pixel.
    loss : str
        A name in `surveyfit.fit.loss.LOSSES`.
    quantiles : array (k,), optional
        Equally probable values of (pixel - level) / noise, from source-free pixels, for the
        errors; Gaussian noise if left out.
    correlation : array (2 L + 1, 2 L + 1), optional
        Correlation of the noise of two pixels at each lag [dy + L, dx + L], for the errors;
        independent pixels if left out.
    max_iterations : int

    Raises
    ------
    InputError
        If arrays do not belong together, or a setting or the function cannot be used.
    """
    images = images_of(pixels, noise, start, lower, upper, fixed)
    n_parameters = images.start.shape[1]
    follows = leaders(tied, n_parameters)
    check_function(function, n_parameters, images.data.shape[1:])
    if loss not in LOSSES:
        raise InputError(f"loss {loss!r}", f"use {' or '.join(map(repr, LOSSES))}")
    for name, value in (("gamma", gamma), ("max_iterations", max_iterations)):
        if not value > 0:
            raise InputError(f"{name} = {value}", "give a positive number")
    task = Task(
        gamma=np.asarray(gamma, float),
        max_iterations=np.asarray(max_iterations, np.int32),
        leaders=follows,
        correlation=_square(correlation),
    )
    held = images.fixed | (follows != np.arange(n_parameters))
    solution = _fit(
        images._replace(start=images.start[:, follows], fixed=held), task, function, LOSSES[loss]
    )
    return _result(solution, ~held, task, LOSSES[loss], quantiles)


def _square(correlation: ArrayLike | None) -> np.ndarray | None:
    if correlation is None:
        return None
    table = np.asarray(correlation, float)
    if table.ndim != 2 or len(set(table.shape)) > 1 or len(table) % 2 == 0:
        raise InputError(f"correlation of shape {table.shape}", "give (2 L + 1, 2 L + 1)")
    return table


def _fit(images: Images, task: Task, function: ModelFunction, loss: Loss) -> Solution:
    """Fit all images, a chunk of one fixed size at a time."""
    n, height, width = images.data.shape
    slots = max(1, PIXELS_IN_STEP // (height * width))
    # A large image is fitted alone, without a queue that would only take memory.
    size = slots * QUEUE if slots > 1 else 1
    parts = []
    with jax.enable_x64(True):
        for first in range(0, max(n, 1), size):
            chunk = [column[first : first + size] for column in images]
            count = len(chunk[0])
            filled = Images(
                *(np.pad(c, [(0, size - count)] + [(0, 0)] * (c.ndim - 1)) for c in chunk)
            )
            found = fit_chunk(filled, np.asarray(count), task, function, loss, slots)
            parts.append([np.asarray(column)[:count] for column in found])
    return Solution(*map(np.concatenate, zip(*parts, strict=True)))


def _result(
    solution: Solution, free: np.ndarray, task: Task, loss: Loss, quantiles: ArrayLike | None
) -> ModelFit:
    """Add the errors: A = E[l''] sum w^2 dm dm^T and so on, as in `surveyfit.fit.information`."""
    law = noise_law(None if quantiles is None else np.asarray(quantiles, float), loss)
    t = 1.0 / float(task.gamma)
    curved = np.interp(np.log(t), law.log_t, law.curvature)
    scored = np.exp(np.interp(np.log(t), law.log_t, np.log(law.score_variance)))
    bread = curved * solution.squares
    filling = scored * solution.squares + (curved * t) ** 2 * solution.pairs
    cov, crb = in_chunks(_covariances, solution.hessian, bread, filling, free)
    follows, failed = task.leaders, np.isin(solution.status, FAILED)[:, None]

    def reported(matrix: np.ndarray) -> np.ndarray:
        return np.where(failed[:, :, None], np.nan, matrix[:, follows][:, :, follows])

    cov = reported(cov)
    constant = solution.log_scale + solution.n_pix * np.log(density(loss).norm)
    return ModelFit(
        params=np.where(failed, np.nan, solution.params[:, follows]),
        errors=np.sqrt(np.diagonal(cov, axis1=1, axis2=2)),
        cov=cov,
        cov_crb=reported(crb),
        nll=np.where(failed[:, 0], np.nan, solution.loss + constant),
        n_pix=solution.n_pix.astype(np.int32),
        n_iter=solution.n_iter.astype(np.int32),
        status=solution.status.astype(np.int32),
    )


def _covariances(
    hessian: jax.Array, bread: jax.Array, filling: jax.Array, free: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return sandwich(bread, filling, free), inverse(hessian, free)[0]
