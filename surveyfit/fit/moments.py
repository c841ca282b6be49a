"""Exact derivatives of the likelihood of overlapping Gaussians, from moments of a few maps.

A component is a g with g = exp(theta . phi), phi = (1, u, v, u2, uv, v2), where u and v count from
its own centre in units of its own sigma. For the six parameters p of a component dm/dp = g (D phi),
D a small matrix. With l' and l'' the derivatives of the loss with respect to the model's value in a
pixel,

    dL/dp = sum l' dm/dp         d2L/dpdq = sum l'' dm/dp dm/dq + sum l' d2m/dpdq

are sums of polynomials in u and v, of degree 4 at most, weighted by l'' g_j g_k, l'' g or l' g: on
a grid of pixels these are two thin matrix products. Nothing is approximated. The map theta(p) is
tiny; automatic differentiation gives its first and second derivatives. Sums add, so that pixels
may come in blocks of any size.
"""

from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from surveyfit.fit.loss import Loss, Pixels, curvature, score
from surveyfit.fit.model import Array
from surveyfit.fit.small import bordered, entries, product, times

U_POWER = np.array([0, 1, 0, 2, 1, 0])
V_POWER = np.array([0, 0, 1, 0, 1, 2])
"""phi[i] = u**U_POWER[i] * v**V_POWER[i]."""
PAIR_POWERS = V_POWER[:, None] + V_POWER, U_POWER[:, None] + U_POWER
"""The same of v and u for phi phi^T."""

DEGREE = 4

PER_COMPONENT = 6
"""x0, y0, amp, sigma, rho, diff; after all components comes their one background."""
AMP = 2
SHAPE = (0, 1, 3, 4, 5)
"""Places of the parameters of g: where all of them are held, the model is linear."""


class Sums(NamedTuple):
    """What pixels add to the derivatives of K components.

    Attributes
    ----------
    value, score, curvature : array ()
        Sums of the loss and of its derivatives with respect to the model.
    slope, level, square : array (K, 5, 5)
        Sums of l' g, l'' g and l'' g2 times v**q u**p, at [q, p].
    cross : array (K (K - 1) / 2, 6, 6)
        Sums of l'' g_j g_k phi_j phi_k^T for the pairs j < k.
    """

    value: Array
    score: Array
    curvature: Array
    slope: Array
    level: Array
    square: Array
    cross: Array


def pixel_sums(components: jax.Array, bkg: jax.Array, pixels: Pixels, loss: Loss) -> Sums:
    """Return what a block of pixels adds.

    Parameters
    ----------
    components : array (K, 6)
        Linear parameters x0, y0, amp, sigma, rho, diff.
    bkg : array ()
    pixels : Pixels
        A grid: ``data`` and ``weight`` (height, width), ``x`` (1, width) and ``y`` (height, 1); or
        ``x`` (K, width) and ``y`` (height, K), counted from an origin near each component.
    loss : callable
    """
    u, v = unit_coordinates(components, pixels)
    g = jax.vmap(unit_gaussian)(components, u, v)
    z = (jnp.sum(components[:, AMP, None, None] * g, axis=0) + bkg - pixels.data) * pixels.weight
    slope = score(loss, z) * pixels.weight
    curved = curvature(loss, z) * pixels.weight**2
    sums = moments(jnp.stack([slope * g, curved * g, curved * g * g], axis=1), u, v)
    return Sums(
        value=jnp.sum(loss(z)),
        score=jnp.sum(slope),
        curvature=jnp.sum(curved),
        slope=sums[:, 0],
        level=sums[:, 1],
        square=sums[:, 2],
        cross=_cross_moments(curved, g, u, v),
    )


def unit_coordinates(components: jax.Array, pixels: Pixels) -> tuple[jax.Array, jax.Array]:
    """Return u (K, width) and v (K, height): pixels from each centre, in units of its sigma."""
    x0, y0, _, sigma, _, _ = jnp.unstack(components[:, :, None], axis=1)
    return (pixels.x - x0) / sigma, (pixels.y.T - y0) / sigma


def unit_gaussian(component: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Return g (height, width) of one component (6,), one at its centre."""
    _, _, _, _, rho, diff = jnp.unstack(component)
    along_x, along_y = -0.5 * (1.0 + diff) * u * u, -0.5 * (1.0 - diff) * v * v
    return jnp.exp(along_x + along_y[:, None] + (-0.5 * rho * v)[:, None] * u)


def moments(maps: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Return the sums (K, m, 5, 5) of maps (K, m, height, width) times v**q u**p, at [q, p]."""
    along_x = jnp.einsum("kmyx,kxp->kmyp", maps, _powers(u))
    return jnp.einsum("kmyp,kyq->kmqp", along_x, _powers(v))


def _powers(u: jax.Array) -> jax.Array:
    square = u * u
    return jnp.stack([jnp.ones_like(u), u, square, square * u, square * square], axis=-1)


def _cross_moments(curved: jax.Array, g: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Return `Sums.cross`: each component keeps its own coordinates, so no digit is lost."""
    j, k = np.triu_indices(len(g), 1)
    if j.size == 0:
        return jnp.zeros((0, PER_COMPONENT, PER_COMPONENT), g.dtype)

    def columns(w: jax.Array) -> jax.Array:
        powers = _powers(w)[..., :3]
        both = powers[j][..., :, None] * powers[k][..., None, :]
        return both.reshape(*both.shape[:2], 9)

    along_x = jnp.einsum("cyx,cxp->cyp", curved * g[j] * g[k], columns(u))
    sums = jnp.einsum("cyp,cyq->cqp", along_x, columns(v))
    return entries(sums, V_POWER[:, None] * 3 + V_POWER, U_POWER[:, None] * 3 + U_POWER)


def derivatives(sums: Sums, components: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return value, gradient (6 K + 1,) and exact Hessian (6 K + 1, 6 K + 1) from the sums.

    In the linear parameters of component 0, then of component 1, ..., and last the background.
    """
    slope = entries(sums.slope, V_POWER, U_POWER)
    theta, bend = jax.vmap(_theta_derivatives)(components, slope)
    model = _model_polynomials(components, theta)
    gradient = jax.vmap(times)(model, slope)
    to_bkg = jax.vmap(times)(model, entries(sums.level, V_POWER, U_POWER))
    own = jax.vmap(_own_block)(components, theta, bend, sums.slope, sums.square)
    pairs = combinations(range(len(components)), 2)
    cross = {
        (j, k): product(product(model[j], moment), model[k].T)
        for (j, k), moment in zip(pairs, sums.cross, strict=True)
    }
    rows = [
        [own[j] if j == k else cross[j, k] if j < k else cross[k, j].T for k in range(len(own))]
        for j in range(len(own))
    ]
    square = jnp.concatenate([jnp.concatenate(row, axis=1) for row in rows], axis=0)
    hessian = bordered(square, to_bkg.reshape(-1), sums.curvature)
    return sums.value, jnp.append(gradient, sums.score), hessian


def _theta_derivatives(component: jax.Array, slope: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return dtheta/dp (theta, p), and d2(theta . slope)/dpdq (p, q) for a fixed slope (6,)."""
    frame = component

    def along_slope(p: jax.Array) -> jax.Array:
        return jnp.sum(_theta(p, frame) * slope)

    return jax.jacfwd(_theta)(component, frame), jax.jacfwd(jax.grad(along_slope))(component)


def _theta(component: jax.Array, frame: jax.Array) -> jax.Array:
    """Return theta (6,) of a component (6,) in the coordinates u, v of the component ``frame``."""
    x0, y0, _, sigma, rho, diff = jnp.unstack(component)
    shift_x, shift_y, scale = (frame[0] - x0) / sigma, (frame[1] - y0) / sigma, frame[3] / sigma
    xx, xy, yy = -0.5 * (1.0 + diff), -0.5 * rho, -0.5 * (1.0 - diff)
    return jnp.stack(
        [
            xx * shift_x**2 + xy * shift_x * shift_y + yy * shift_y**2,
            scale * (2.0 * xx * shift_x + xy * shift_y),
            scale * (2.0 * yy * shift_y + xy * shift_x),
            scale**2 * xx,
            scale**2 * xy,
            scale**2 * yy,
        ]
    )


def _model_polynomials(components: jax.Array, theta: jax.Array) -> jax.Array:
    """Return D (K, p, phi), with which dm/dp = g (D phi)."""
    amplitude = np.zeros((PER_COMPONENT, PER_COMPONENT))
    amplitude[AMP, 0] = 1.0
    shape = components[:, AMP, None, None] * theta.swapaxes(1, 2)
    return shape + jnp.asarray(amplitude, components.dtype)


def _own_block(
    component: jax.Array,
    theta: jax.Array,
    bend: jax.Array,
    slope: jax.Array,
    square: jax.Array,
) -> jax.Array:
    """Return the second derivatives (p, q) within one component.

    With m = a g: d2m/dadp = g (theta_p' phi), d2m/dpdq = a g ((theta_p' phi) (theta_q' phi) +
    theta_pq'' phi), and the products of first derivatives have the same polynomials.
    """
    amp = component[AMP]
    both = entries(amp * square + slope, *PAIR_POWERS)
    along = product(theta.T, both)
    is_amp = jnp.asarray(np.arange(PER_COMPONENT) == AMP, component.dtype)
    edge = is_amp[:, None] * along[:, 0]
    corner = jnp.outer(is_amp, is_amp) * square[0, 0]
    return amp * (product(along, theta) + bend) + edge + edge.T + corner


def gauss_newton(component: jax.Array, weights: jax.Array, pixels: Pixels) -> jax.Array:
    """Return the sums (m, 7, 7) over the pixels of weight * dm dm^T for one Gaussian.

    Parameters
    ----------
    component : array (6,)
        Linear parameters.
    weights : array (m, height, width)
    pixels : Pixels
        Only its coordinates are used.
    """
    components = component[None]
    u, v = unit_coordinates(components, pixels)
    g = unit_gaussian(component, u[0], v[0])
    sums = moments(jnp.concatenate([weights * g * g, weights * g])[None], u, v)[0]
    theta, _ = _theta_derivatives(component, jnp.zeros_like(component))
    model = _model_polynomials(components, theta[None])[0]

    def assemble(square: jax.Array, level: jax.Array, total: jax.Array) -> jax.Array:
        own = product(product(model, entries(square, *PAIR_POWERS)), model.T)
        return bordered(own, times(model, entries(level, V_POWER, U_POWER)), total)

    m = len(weights)
    return jax.vmap(assemble)(sums[:m], sums[m:], jnp.sum(weights, axis=(1, 2)))


def leverage(component: jax.Array, inverse: jax.Array, pixels: Pixels) -> jax.Array:
    """Return dm^T inverse dm (height, width) of one Gaussian, for an inverse (7, 7).

    Arguments as for `gauss_newton`. It is a polynomial of degree 4 in u and v times g^2, one of
    degree 2 times g, and a constant.
    """
    components = component[None]
    u, v = unit_coordinates(components, pixels)
    g = unit_gaussian(component, u[0], v[0])
    theta, _ = _theta_derivatives(component, jnp.zeros_like(component))
    model = _model_polynomials(components, theta[None])[0]
    both = product(product(model.T, inverse[:-1, :-1]), model)
    single = times(model.T, inverse[:-1, -1])
    along_y, along_x = _powers(v[0]), _powers(u[0])
    quartic, square = (
        jnp.einsum("yq,qp,xp->yx", along_y, _coefficients(values, *powers), along_x)
        for values, powers in ((both, PAIR_POWERS), (single, (V_POWER, U_POWER)))
    )
    return g * (g * quartic + 2.0 * square) + inverse[-1, -1]


def _coefficients(values: jax.Array, rows: np.ndarray, columns: np.ndarray) -> jax.Array:
    """Return the sums (5, 5), at [row, column], of the values that belong there."""
    length = DEGREE + 1
    place = np.eye(length**2)[(rows * length + columns).ravel()]
    return (values.ravel() @ jnp.asarray(place, values.dtype)).reshape(length, length)
