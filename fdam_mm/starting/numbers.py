"""The figures of a start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Numbers:
    """What the rules gave, see :mod:`.rules`.

    Attributes:
        side: Of the crop, or of the tiles.
        size: Longer and shorter side of the pictures, the medians.
        batch, iterations: Of the training.
        rate: Learning rate.
        weights: Of the classes, None for none.
        overlap: Pixels that tiles share; 0 without tiles.
        mean, std: Of each band, of pictures that are not grey or RGB of 8 bits; else empty.
        unseen: Objects by class that are in no tile.
        anchors: Sides of the anchors in strides of their level, where a model has some.
    """

    side: int
    size: tuple[int, int]
    batch: int
    iterations: int
    rate: float
    weights: list[float] | None = None
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    overlap: int = 0
    anchors: tuple[float, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)
