"""The rules of a first config, at their edges."""

import pytest

from fdam_mm.starting.rules import (
    Machine,
    anchor_scales,
    batch_size,
    class_weights,
    crop_side,
    iterations,
    learning_rate,
    split_names,
    tile_overlap,
    tile_side,
)

CPU, GPU = Machine(None), Machine(24.0)


def test_crop_side() -> None:
    assert crop_side([360, 360, 1000], 512, GPU) == 352
    assert crop_side([2000], 512, GPU) == 512
    assert crop_side([360], 512, CPU) == 256
    assert crop_side([40], 512, GPU) == 64


def test_tiles() -> None:
    assert tile_side([600, 600], [20.0], 1024, GPU) == 608
    assert tile_side([4000], [20.0], 1024, GPU) == 1024
    assert tile_side([4000], [20.0], 1024, CPU) == 256
    assert tile_side([4000], [300.0], 1024, CPU) == 608  # most objects are whole in one
    assert tile_side([4000], [3000.0], 1024, CPU) == 1024
    assert tile_side([40], [], 1024, CPU) == 64


def test_tiles_share_what_holds_an_object() -> None:
    assert tile_overlap(608, {"ship": [20.0]}) == 121  # a fifth
    assert tile_overlap(608, {"ship": [300.0]}) == 300
    assert tile_overlap(1024, {"ship": [3000.0]}) == 512
    few = {"ship": [60.0] * 500, "harbor": [330.0] * 5}
    assert tile_overlap(1024, few) == 330  # the rare class is whole too
    assert tile_overlap(256, few) == 60  # half a side would not be enough for it
    assert tile_overlap(64, {}) == 12


def test_anchors() -> None:
    assert anchor_scales([32.0] * 10) == (8.0,)  # the recipe's
    assert anchor_scales([5.0] * 10) == (2.0,)
    assert anchor_scales([16.0] * 5 + [400.0] * 5) == (4.0, 16.0)
    assert anchor_scales([]) == (8.0,)


def test_batch_size() -> None:
    assert batch_size(1000, 512, 1.0, GPU) == 16
    assert batch_size(1000, 512, 4.0, GPU) == 4
    assert batch_size(3, 512, 1.0, GPU) == 2
    assert batch_size(1000, 256, 1.0, CPU) == 4
    assert batch_size(1000, 256, 4.0, CPU) == 1


def test_learning_rate() -> None:
    assert learning_rate(6e-5, 16, 16, pretrained=True) == 6e-5
    assert learning_rate(6e-5, 16, 4, pretrained=True) == 3e-5
    assert learning_rate(6e-5, 16, 4, pretrained=False) == 3e-4


def test_iterations() -> None:
    assert iterations(14, 1, GPU) == 1400
    assert iterations(1, 1, GPU) == 1000
    assert iterations(10**6, 1, GPU) == 40000
    assert iterations(367, 4, CPU) == 2000


def test_class_weights() -> None:
    assert class_weights([100, 50]) is None
    weights = class_weights([10000, 400, 100, 0])
    assert weights == [0.5, 1.0, 2.0, 1.0]


def test_a_split_is_stable_and_keeps_the_last_of_a_class() -> None:
    names = [f"p{i}" for i in range(18)]
    classes = {name: frozenset([0]) for name in names} | {"p3": frozenset([0, 1])}
    train, val = split_names(names, classes)
    assert (len(train), len(val)) == (14, 4) and not set(train) & set(val)
    assert "p3" in train
    assert split_names(names[::-1], classes) == (train, val)
    assert split_names(["only"], {}) == (["only"], [])


@pytest.mark.parametrize("gone", ["p1", "p7"])
def test_a_picture_less_moves_few(gone: str) -> None:
    names = [f"p{i}" for i in range(40)]
    _, before = split_names(names, {})
    _, after = split_names([name for name in names if name != gone], {})
    assert len(set(before) ^ set(after)) <= 2
