"""Who is to blame when workers die."""

from surveyfit.run.config import Config
from surveyfit.run.pieces import Piece, cut_pieces, fit_piece, halves
from surveyfit.run.suspects import CALM, DEATHS_OF_A_SUSPECT, Suspects, Verdict
from surveyfit.sky.image import Image

CONFIG = Config(tile=128)
IMAGE = Image("/a.fits", "a.fits", 0, (), (600, 500), "digest", None, "0")
PIECES = cut_pieces(IMAGE, CONFIG)


class Clock:
    """Time that passes when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def verdicts_beside_others(suspects: Suspects, piece: Piece, n: int) -> list[Verdict]:
    return [suspects.judge(piece, alone=False, deaths=1) for _ in range(n)]


def test_a_piece_is_done_again_before_it_is_suspect() -> None:
    suspects = Suspects()
    verdicts = verdicts_beside_others(suspects, PIECES[0], DEATHS_OF_A_SUSPECT)
    assert verdicts == [Verdict.AGAIN] * (DEATHS_OF_A_SUSPECT - 1) + [Verdict.SUSPECT]
    assert list(suspects.waiting) == [PIECES[0]]


def test_two_deaths_alone_convict() -> None:
    suspects = Suspects()
    verdicts_beside_others(suspects, PIECES[0], DEATHS_OF_A_SUSPECT)
    for _ in range(DEATHS_OF_A_SUSPECT):
        suspects.worker_died([PIECES[0].key, PIECES[1].key])
    verdicts = []
    for _ in range(2):
        suspects.waiting.clear()
        suspects.worker_died([PIECES[0].key])
        verdicts.append(suspects.judge(PIECES[0], alone=True, deaths=1))
    assert verdicts == [Verdict.SUSPECT, Verdict.GUILTY]


def test_a_scheduler_that_tells_of_four_deaths_at_once_is_believed() -> None:
    suspects = Suspects()
    assert suspects.judge(PIECES[0], alone=False, deaths=4) is Verdict.SUSPECT
    assert suspects.judge(PIECES[0], alone=True, deaths=4) is Verdict.GUILTY


def test_trials_among_other_deaths_prove_nothing() -> None:
    clock = Clock()
    suspects = Suspects(clock)
    for _ in range(20):
        suspects.worker_died([])
        clock.now += CALM / 4
        suspects.worker_died([PIECES[0].key])
        assert suspects.judge(PIECES[0], alone=True, deaths=1) is Verdict.SUSPECT
    clock.now += CALM
    verdicts = []
    for _ in range(2):
        suspects.worker_died([PIECES[0].key])
        verdicts.append(suspects.judge(PIECES[0], alone=True, deaths=1))
    assert verdicts == [Verdict.SUSPECT, Verdict.GUILTY]


def test_two_of_the_guilty_do_not_cover_for_each_other() -> None:
    clock = Clock()
    suspects = Suspects(clock)
    guilty = PIECES[:2]
    for piece in guilty:
        for _ in range(DEATHS_OF_A_SUSPECT):
            suspects.worker_died([piece.key])
            suspects.judge(piece, alone=False, deaths=1)
    convicted = []
    for _ in range(4):
        piece = suspects.waiting.popleft()
        suspects.worker_died([piece.key])
        clock.now += 1
        if suspects.judge(piece, alone=True, deaths=1) is Verdict.GUILTY:
            convicted.append(piece)
    assert convicted == guilty
    assert not suspects.waiting


def test_the_halves_of_a_batch_hold_its_tiles_once() -> None:
    batch = fit_piece(IMAGE, tuple(tile for piece in PIECES for tile in piece.tiles)[:7], CONFIG)
    first, second = halves(batch, CONFIG)
    assert first.tiles + second.tiles == batch.tiles
    assert len({batch.key, first.key, second.key}) == 3
    assert len({batch.path_stem, first.path_stem, second.path_stem}) == 3
