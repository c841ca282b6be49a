"""The order of work: later stages first, nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from surveyfit.run.config import Config
from surveyfit.run.follow_up import FollowUp
from surveyfit.run.loop import Loop
from surveyfit.run.pieces import Failure, Outcome, Piece, Stage, noise_piece
from surveyfit.run.plan import BATCH_TILES, tiles
from surveyfit.run.worklist import MOST_TRIES, Worklist
from surveyfit.sky.image import Image

CONFIG = Config(tile=128, halo=16)


def image(number: int, shape: tuple[int, int]) -> Image:
    return Image(f"/{number}.fits", f"{number}.fits", 0, (), shape, f"digest{number}", None, "0")


def failure(piece: Piece, transient: bool = False) -> Outcome:
    why = Failure(piece.name, piece.label, piece.stage, "why", "what to do", "", transient)
    return Outcome(piece, failure=why)


def run(
    images: list[Image],
    committed: dict[str, Outcome],
    fails: Callable[[Piece], Outcome | None] = lambda piece: None,
) -> tuple[list[Outcome], list[Piece]]:
    """Work everything off; return the outcomes and the pieces that were really worked on."""
    worked: list[Piece] = []

    def work(piece: Piece) -> Outcome:
        worked.append(piece)
        return fails(piece) or Outcome(piece, {"rows": 0, "good": 0})

    worklist = Worklist(
        [noise_piece(i, CONFIG) for i in images],
        FollowUp(CONFIG),
        lambda piece: committed.get(piece.key),
    )
    return list(Loop(work).run(worklist)), worked


SHAPES = st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=4)


@given(shapes=SHAPES)
def test_every_tile_is_cut_and_fitted_once(shapes: list[tuple[int, int]]) -> None:
    outcomes, _ = run([image(i, s) for i, s in enumerate(shapes)], {})
    n_tiles = sum(len(tiles(s, CONFIG.tile, CONFIG.halo)) for s in shapes)
    stages = [o.piece.stage for o in outcomes]
    assert stages.count(Stage.NOISE) == len(shapes)
    assert stages.count(Stage.CUT) == n_tiles
    fitted = [
        (o.piece.name, t) for o in outcomes if o.piece.stage is Stage.FIT for t in o.piece.tiles
    ]
    assert len(fitted) == len(set(fitted)) == n_tiles
    assert all(len(o.piece.tiles) <= BATCH_TILES for o in outcomes)
    assert len({o.piece.key for o in outcomes}) == len(outcomes)
    assert len({(o.piece.stage, o.piece.path_stem) for o in outcomes}) == len(outcomes)


@given(shapes=SHAPES, data=st.data())
def test_what_is_committed_is_not_worked_on_again(
    shapes: list[tuple[int, int]], data: st.DataObject
) -> None:
    images = [image(i, s) for i, s in enumerate(shapes)]
    before, _ = run(images, {})
    kept = data.draw(st.sets(st.sampled_from([o.piece.key for o in before])))
    committed = {o.piece.key: o for o in before if o.piece.key in kept}
    after, worked = run(images, committed)
    assert {o.piece.key for o in after} == {o.piece.key for o in before}
    assert {p.key for p in worked} == {o.piece.key for o in before} - kept


def test_tiles_are_finished_before_new_images_are_begun() -> None:
    outcomes, _ = run([image(0, (300, 300)), image(1, (300, 300))], {})
    second = next(i for i, o in enumerate(outcomes) if o.piece.name == "1.fits")
    assert all(o.piece.name == "1.fits" for o in outcomes[second:])


def test_a_failure_has_no_consequences() -> None:
    failed = failure(noise_piece(image(0, (300, 300)), CONFIG))
    assert FollowUp(CONFIG)(failed) == []


def test_a_tile_that_cannot_be_cut_is_left_out_of_its_batch() -> None:
    def fails(piece: Piece) -> Outcome | None:
        bad = piece.stage is Stage.CUT and piece.label == "y000000_x000000"
        return failure(piece) if bad else None

    outcomes, _ = run([image(0, (300, 300))], {}, fails)
    (batch,) = (o.piece for o in outcomes if o.piece.stage is Stage.FIT)
    assert len(batch.tiles) == len(tiles((300, 300), CONFIG.tile, CONFIG.halo)) - 1
    assert batch.tiles[0].label != "y000000_x000000"


def test_a_strict_list_begins_nothing_after_a_failure_and_takes_in_what_is_in_hand() -> None:
    first, second, third = (noise_piece(image(i, (300, 300)), CONFIG) for i in range(3))
    worklist = Worklist([first, second, third], FollowUp(CONFIG), lambda piece: None, strict=True)
    in_hand = [worklist.pop(), worklist.pop()]
    assert in_hand == [first, second]
    assert worklist.done(failure(first))
    assert worklist.done(Outcome(second))
    assert not worklist
    assert worklist.pop() is None


def test_passing_failures_are_tried_again_a_few_times() -> None:
    tries: Counter[str] = Counter()

    def fails(piece: Piece) -> Outcome | None:
        tries[piece.key] += 1
        hopeless = piece.name == "1.fits"
        return failure(piece, transient=True) if hopeless or tries[piece.key] == 1 else None

    outcomes, _ = run([image(0, (300, 300)), image(1, (300, 300))], {}, fails)
    failed = [o.piece for o in outcomes if o.failure is not None]
    assert [piece.name for piece in failed] == ["1.fits"]
    assert tries[failed[0].key] == MOST_TRIES
    assert sum(o.piece.stage is Stage.FIT for o in outcomes) == 1


def test_names_of_pieces_are_safe_in_paths() -> None:
    strange = Image("/a b/ü[x].fits", "a b/../ü[x].fits[SCI,1]", 1, (), (9, 9), "d", None, "SCI")
    stem = noise_piece(strange, CONFIG).path_stem
    assert Path(stem).name == stem
    assert not set(stem) & set(" /[]ü,")
