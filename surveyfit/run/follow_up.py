"""What follows from what: a measured image is cut tile by tile, cut tiles are fitted in batches."""

from collections import defaultdict

from surveyfit.run.config import Config
from surveyfit.run.pieces import Outcome, Piece, Stage, cut_pieces, fit_piece
from surveyfit.run.plan import Tile, batches


class FollowUp:
    """Tells which pieces an outcome makes possible.

    A batch is fitted when the last of its tiles has ended, with the tiles that could be cut: which
    tiles are fitted together is planned, never a matter of who is ready first.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._batch_of: dict[tuple[str, Tile], tuple[Tile, ...]] = {}
        self._cut: defaultdict[tuple[str, Tile], list[Tile]] = defaultdict(list)

    def __call__(self, outcome: Outcome) -> list[Piece]:
        """Return the pieces that can be done now."""
        piece = outcome.piece
        if piece.image is None:
            return []
        if piece.stage is Stage.NOISE and outcome.failure is None:
            pieces = cut_pieces(piece.image, self._config)
            for batch in batches([tile for cut in pieces for tile in cut.tiles]):
                self._batch_of |= {(piece.image.key, tile): batch for tile in batch}
            return pieces
        if piece.stage is Stage.CUT:
            return self._tile_ended(outcome)
        return []

    def _tile_ended(self, outcome: Outcome) -> list[Piece]:
        image, (tile,) = outcome.piece.image, outcome.piece.tiles
        assert image is not None
        batch = self._batch_of.pop((image.key, tile))
        first = (image.key, batch[0])
        if outcome.failure is None:
            self._cut[first].append(tile)
        if any((image.key, other) in self._batch_of for other in batch):
            return []
        cut = set(self._cut.pop(first, []))
        ready = tuple(t for t in batch if t in cut)
        return [fit_piece(image, ready, self._config)] if ready else []
