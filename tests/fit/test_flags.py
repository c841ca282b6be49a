"""What goes wrong is said in the right words, and what goes well has no flag."""

import numpy as np
import pytest
from simulated import SIDE, cutouts_of, noisy_cutouts, random_truth

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.cutouts import Cutouts, FitSettings
from surveyfit.fit.flags import fit_flags
from surveyfit.fit.result import FitResult
from surveyfit.schema import GOOD, FitStatus, Flag

Y, X = np.mgrid[:SIDE, :SIDE]
MIDDLE = 11.5


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE))


def star(amp: float, sigma: float = 1.7, x: float = MIDDLE, y: float = MIDDLE) -> np.ndarray:
    return amp * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * sigma**2))


def start(amp: float = 50.0, sigma: float = 1.7, **place: float) -> np.ndarray:
    return np.array([place.get("x", MIDDLE), place.get("y", MIDDLE), amp, sigma, 0, 0, 0.0])


def holes(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, np.nan, image)


RADIUS = np.hypot(X - MIDDLE, Y - MIDDLE)
SQUARE = np.maximum(np.abs(X - MIDDLE), np.abs(Y - MIDDLE))
HIT = np.where((X == 11) & (Y == 12), 500.0, 0.0)
TRACK = np.where((Y == 12) & (np.abs(X - MIDDLE) < 8), 300.0, 0.0)
CASES: dict[str, tuple[np.ndarray, np.ndarray, Flag]] = {
    "cosmic ray": (noise(1) + HIT, start(500.0, x=11, y=12), Flag.SIZE_AT_BOUND),
    "track": (noise(2) + TRACK, start(300.0), Flag.SHAPE_AT_BOUND),
    "track is no Gaussian": (noise(2) + TRACK, start(300.0), Flag.MODEL_MISMATCH),
    "negative": (-star(50.0), start(), Flag.NEGATIVE_AMP),
    "constant": (np.full((SIDE, SIDE), 7.0), start(), Flag.NEGATIVE_AMP),
    "masked": (np.full((SIDE, SIDE), np.nan), start(), Flag.NO_DATA),
    "six pixels": (holes(star(50.0), (X > 2) | (Y > 1)), start(), Flag.NO_DATA),
    "bad start": (noise(4) + star(50.0), start() * np.nan, Flag.NO_DATA),
    "sixteen pixels": (holes(noise(5) + star(50.0), RADIUS > 2.2), start(), Flag.FEW_PIXELS),
    "no core": (holes(noise(6) + star(50.0), RADIUS < 1.8), start(), Flag.FEW_PIXELS),
    "hole": (holes(noise(7) + star(50.0), (X == 13) & (Y == 12)), start(), Flag.MASKED_PIXELS),
    "square": (
        holes(noise(8) + star(50.0, 3.0), SQUARE > 2),
        start(sigma=3.0),
        Flag.ILL_CONDITIONED,
    ),
    "elsewhere": (noise(9) + star(80.0, x=17), start(x=11.0), Flag.POSITION_DRIFT),
    "box": (noise(10) + 300.0 * (RADIUS < 6), start(300.0, 3.0), Flag.MODEL_MISMATCH),
    "hail": (
        noise(11) + star(50.0) + 60 * (np.random.default_rng(1).uniform(size=X.shape) < 0.3),
        start(),
        Flag.OUTLIER_HEAVY,
    ),
    "round": (noise(12) + star(30.0), start(30.0), Flag.PA_UNDEFINED),
}


@pytest.fixture(scope="module")
def fitted() -> tuple[Cutouts, FitResult, np.ndarray]:
    pixels = np.array([image for image, _, _ in CASES.values()])
    cutouts = cutouts_of(pixels, np.array([begin for _, begin, _ in CASES.values()]))
    result = fit_batch(cutouts)
    return cutouts, result, fit_flags(cutouts, result)


@pytest.mark.parametrize("name", CASES)
def test_each_fault_raises_its_flag(
    name: str, fitted: tuple[Cutouts, FitResult, np.ndarray]
) -> None:
    k = list(CASES).index(name)
    raised, wanted = Flag(int(fitted[2][k])), CASES[name][2]
    assert wanted in raised, f"{raised!r}"


def test_hard_inputs_end_at_bounds_rather_than_use_up_their_iterations(
    fitted: tuple[Cutouts, FitResult, np.ndarray],
) -> None:
    _, result, _ = fitted
    names = list(CASES)
    ends = {
        name: FitStatus(result.status[names.index(name)]).name
        for name in ("cosmic ray", "track", "negative", "constant", "masked", "bad start", "round")
    }
    assert ends == {
        "cosmic ray": "AT_BOUND",
        "track": "AT_BOUND",
        "negative": "AT_BOUND",
        "constant": "AT_BOUND",
        "masked": "NO_DATA",
        "bad start": "NOT_FINITE",
        "round": "CONVERGED",
    }


def test_failed_rows_are_nan_and_all_others_are_finite(
    fitted: tuple[Cutouts, FitResult, np.ndarray],
) -> None:
    _, result, flags = fitted
    failed = flags == Flag.NO_DATA
    assert failed.sum() == 3
    for name in ("params", "cov", "cov_crb", "gamma", "nll", "gof", "resid_max", "grad_norm"):
        column = getattr(result, name).reshape(len(failed), -1)
        assert np.isnan(column[failed]).all(), name
    for name in ("params", "gamma", "nll", "resid_max", "grad_norm"):
        column = getattr(result, name).reshape(len(failed), -1)
        assert np.isfinite(column[~failed]).all(), name
    not_positive = np.isnan(result.cov_crb).any(axis=(1, 2)) & ~failed
    np.testing.assert_array_equal(not_positive, (flags & Flag.HESSIAN_NOT_PD) > 0)


def test_ordinary_sources_are_good() -> None:
    cutouts = noisy_cutouts(random_truth(500, seed=80), seed=81)
    result = fit_batch(cutouts)
    flags = fit_flags(cutouts, result)
    assert ((flags & GOOD) == 0).all()
    # What is left is the word for a source whose ellipticity is not yet measured.
    assert set(np.unique(flags)) <= {0, int(Flag.PA_UNDEFINED)}
    assert flags.dtype == np.int32


def test_running_out_of_iterations_is_said() -> None:
    cutouts = noisy_cutouts(random_truth(20, seed=82), seed=83)
    result = fit_batch(cutouts, FitSettings(max_iterations=1))
    assert (result.status == FitStatus.MAX_ITERATIONS).all()
    assert (fit_flags(cutouts, result) & Flag.MAX_ITERATIONS).all()
    assert (result.n_iter == 1).all()


def test_a_streak_ends_near_the_best_ellipse_that_is_allowed() -> None:
    # Judged by scipy on a likelihood written down again, the bound as a change of variables.
    from scipy.optimize import minimize

    image = noise(2) + TRACK
    result = fit_batch(cutouts_of(image[None], start(300.0)[None]), FitSettings(dtype="float64"))
    gamma = result.gamma[0]

    def value(q: np.ndarray) -> float:
        x0, y0, amp, sigma, turn, bkg = q
        rho, diff = 2 * 0.98 * np.sin(turn), 0.98 * np.cos(turn)
        dx, dy = X - x0, Y - y0
        form = dx**2 + dy**2 + rho * dx * dy + diff * (dx**2 - dy**2)
        residual = amp * np.exp(-form / (2 * sigma**2)) + bkg - image
        return float(np.sum(np.log(1 + (residual / gamma) ** 2)))

    p = result.params[0]
    ours = np.array([*p[:4], np.arctan2(p[4] / 2, p[5]), p[6]])
    assert np.hypot(p[4] / 2, p[5]) == pytest.approx(0.98, abs=1e-6)
    best = minimize(value, ours, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    # Measured 1.2e-3: the shape is held where it reached its bound; half an error would be 0.125.
    assert value(ours) - best.fun < 0.02
