"""A second start rescues fits that ended badly, and never replaces a good one."""

import numpy as np
from simulated import cutouts_of, noisy_cutouts, random_truth

from surveyfit.fit.batch import fit_batch
from surveyfit.fit.second_start import looks_wrong, second_start, with_better_rows
from surveyfit.schema import FitStatus


def test_fits_from_hopeless_starts_are_rescued() -> None:
    truth = random_truth(200, seed=93, snr=(20.0, 100.0))
    cutouts = noisy_cutouts(truth, seed=94)
    start = cutouts.start.copy()
    # As thin as a fit may be, across the source, and on a level far below the sky.
    start[:, 3:6] = [0.31, 1.9, 0.0]
    start[:, 6] -= 50.0
    result = fit_batch(cutouts._replace(start=start))
    offset = np.hypot(*(result.params - truth.params())[:, :2].T)
    # Measured 100 %, and 53 % without the second start.
    assert np.mean((result.status == FitStatus.CONVERGED) & (offset < 1)) > 0.9


def test_the_second_start_holds_against_outliers_on_the_peak() -> None:
    truth = random_truth(50, seed=95, snr=(20.0, 50.0))
    cutouts = noisy_cutouts(truth, seed=96)
    rows, (y, x) = np.arange(50), np.rint(truth.params()[:, 1::-1]).astype(int).T
    cutouts.pixels[rows, y, x] += 1000.0
    start = second_start(cutouts)
    assert (start[:, 2] < 1.2 * truth.amp).all()
    # The source's own light raises the median of a cutout: measured up to 0.35.
    assert (np.abs(start[:, 6] - truth.bkg) < 0.5).all()


def test_what_was_held_stays_held() -> None:
    cutouts = noisy_cutouts(random_truth(5, seed=97), seed=98)
    fixed = np.zeros((5, 7), bool)
    fixed[:, [0, 3]] = True
    start = second_start(cutouts._replace(fixed=fixed))
    np.testing.assert_array_equal(start[:, [0, 3]], cutouts.start[:, [0, 3]])


def test_a_bright_track_is_not_replaced_by_noise_that_converged() -> None:
    cutouts = noisy_cutouts(random_truth(3, seed=99), seed=100)
    good = fit_batch(cutouts)
    assert not looks_wrong(good).any()
    at_bound = good._replace(status=np.full(3, FitStatus.AT_BOUND, np.int32))
    fainter = good._replace(params=good.params * np.array([1, 1, 0.1, 1, 1, 1, 1]))
    start = good.params
    kept = with_better_rows(at_bound, fainter, np.arange(3), start)
    np.testing.assert_array_equal(kept.params, good.params)
    taken = with_better_rows(at_bound, good, np.arange(3), start)
    assert (taken.status == FitStatus.CONVERGED).all()


def test_cutouts_without_a_pixel_have_a_start_that_says_so() -> None:
    empty = cutouts_of(np.full((2, 9, 9), np.nan), np.ones((2, 7)))
    assert np.isnan(second_start(empty)[:, 6]).all()
