"""Tiles: what is cut from a known picture and put together again is the picture."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from fdam_mm.apis.tiles.grid import TileGrid, blend_weights
from fdam_mm.apis.tiles.instances import Found, merge
from fdam_mm.apis.tiles.panoptic import Seams
from fdam_mm.apis.tiles.segmentation import blend_rows
from fdam_mm.errors import UsageError

SIZES = [
    ((37, 53), 16, 4),
    ((64, 64), 16, 8),
    ((16, 90), 16, 0),
    ((9, 7), 16, 4),
    ((50, 16), 17, 8),
]


@pytest.mark.parametrize(("size", "tile", "overlap"), SIZES)
def test_grid_covers_every_pixel_and_keeps_the_overlap(
    size: tuple[int, int], tile: int, overlap: int
) -> None:
    grid = TileGrid.over(size, tile, overlap)
    for starts, side, length in (
        (grid.tops, grid.height, size[0]),
        (grid.lefts, grid.width, size[1]),
    ):
        counts = np.zeros(length, int)
        for start in starts:
            counts[start : start + side] += 1
        assert counts.min() >= 1
        shared = [a + side - b for a, b in zip(starts, starts[1:], strict=False)]
        assert all(count >= overlap for count in shared)
    assert len(grid.windows()) == len(grid)


@pytest.mark.parametrize(("size", "tile", "overlap"), SIZES)
def test_weights_sum_to_one(size: tuple[int, int], tile: int, overlap: int) -> None:
    grid = TileGrid.over(size, tile, overlap)
    total = np.zeros(size[1])
    for start, weight in zip(grid.lefts, blend_weights(grid.lefts, grid.width), strict=True):
        assert weight.min() > 0
        total[start : start + grid.width] += weight
    np.testing.assert_allclose(total, 1, rtol=1e-6)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (16, 16), (16, -1)])
def test_grids_that_cannot_be(tile: int, overlap: int) -> None:
    with pytest.raises(UsageError, match="expected"):
        TileGrid.over((64, 64), tile, overlap)


@pytest.mark.parametrize(("size", "tile", "overlap"), SIZES)
def test_blended_tiles_of_a_map_are_the_map(
    size: tuple[int, int], tile: int, overlap: int
) -> None:
    logits = torch.randn(5, *size, generator=torch.Generator().manual_seed(0))
    grid = TileGrid.over(size, tile, overlap)
    tiles = (logits[:, top:bottom, left:right] for left, top, right, bottom in grid.windows())
    labels = np.full(size, 99, np.uint8)
    blend_rows(tiles, grid, lambda t: t.argmax(0), labels)
    np.testing.assert_array_equal(labels, logits.argmax(0))


def test_blending_weighs_the_nearer_tile_more() -> None:
    """Two tiles that disagree: each wins on its side, the change lies in the overlap's middle."""
    grid = TileGrid.over((8, 24), 16, 8)
    ones = torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 8, 16)
    labels = np.zeros((8, 24), np.uint8)
    blend_rows([1 - ones, ones], grid, lambda t: t.argmax(0), labels)
    assert (labels[:, :12] == 0).all() and (labels[:, 12:] == 1).all()


def rectangles(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (40, 60)) -> list[dict]:
    masks = []
    for left, top, right, bottom in boxes:
        mask = np.zeros(size, np.uint8, order="F")
        mask[top:bottom, left:right] = 1
        masks.append(coco_mask.encode(mask))
    return masks


@pytest.mark.parametrize("with_masks", [True, False])
def test_an_object_in_two_tiles_becomes_one(with_masks: bool) -> None:
    # one object from x 5 to 40, seen up to 30 and from 20; another class and another place beside
    boxes = [(5, 5, 30, 15), (20, 5, 40, 15), (20, 5, 40, 15), (45, 20, 55, 30)]
    found = Found(
        boxes=np.array(boxes, np.float32),
        scores=np.array([0.9, 0.8, 0.7, 0.6], np.float32),
        labels=np.array([0, 0, 1, 0]),
        tiles=np.array([0, 1, 1, 1]),
        rles=rectangles(*boxes) if with_masks else None,
    )
    merged = merge(found, TileGrid.over((40, 60), 35, 10).windows())
    assert merged.boxes.tolist() == [[5, 5, 40, 15], [20, 5, 40, 15], [45, 20, 55, 30]]
    assert merged.labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(merged.scores, [0.9, 0.7, 0.6])
    if with_masks:
        assert coco_mask.area(merged.rles[0]) == 35 * 10


@pytest.mark.parametrize("with_masks", [True, False])
def test_an_object_far_longer_than_the_overlap_becomes_one(with_masks: bool) -> None:
    """Seen by all three tiles, of which the outer ones do not meet; a small one lies on it."""
    grid = TileGrid.over((40, 100), 40, 10)
    windows = grid.windows()
    assert grid.lefts == (0, 30, 60)
    boxes = [(2, 5, 40, 15), (30, 5, 70, 15), (60, 5, 98, 15), (33, 6, 37, 14)]
    found = Found(
        boxes=np.array(boxes, np.float32),
        scores=np.array([0.9, 0.5, 0.8, 0.7], np.float32),
        labels=np.zeros(4, int),
        tiles=np.array([0, 1, 2, 1]),
        rles=rectangles(*boxes, size=(40, 100)) if with_masks else None,
    )
    merged = merge(found, windows)
    assert merged.boxes.tolist() == [[2, 5, 98, 15], [33, 6, 37, 14]]
    if with_masks:
        assert coco_mask.area(merged.rles).tolist() == [96 * 10, 4 * 8]


@pytest.mark.parametrize(("tile", "overlap"), [(60, 12), (40, 10), (90, 30)])
def test_what_the_tiles_cut_is_whole_again(tile: int, overlap: int) -> None:
    rng = np.random.default_rng(0)
    size = (120, 160)
    y, x = np.mgrid[: size[0], : size[1]]
    centres = [(20, 30), (20, 110), (60, 75), (95, 30), (95, 120)]  # of ellipses that do not meet
    truth = [
        np.asfortranarray(((y - cy) / 13) ** 2 + ((x - cx) / 28) ** 2 < 1, np.uint8)
        for cy, cx in centres
    ]
    windows = TileGrid.over(size, tile, overlap).windows()
    rles, tiles = [], []
    for index, (left, top, right, bottom) in enumerate(windows):
        for mask in truth:
            part = np.zeros_like(mask)
            part[top:bottom, left:right] = mask[top:bottom, left:right]
            if part.any():
                rles.append(coco_mask.encode(part))
                tiles.append(index)
    left_top_sides = coco_mask.toBbox(rles)
    boxes = np.concatenate(
        [left_top_sides[:, :2], left_top_sides[:, :2] + left_top_sides[:, 2:]], 1
    )
    scores, labels = rng.random(len(rles)), np.zeros(len(rles), int)
    merged = merge(Found(boxes, scores, labels, np.array(tiles), rles), windows)
    assert len(rles) > len(truth) and merged.rles is not None
    found = {coco_mask.decode(rle).tobytes() for rle in merged.rles}
    assert found == {np.ascontiguousarray(mask).tobytes() for mask in truth}


def test_two_objects_of_one_tile_stay_two() -> None:
    boxes = np.array([(5, 5, 30, 15), (6, 5, 30, 15)], np.float32)
    found = Found(boxes, np.array([0.9, 0.8]), np.array([0, 0]), np.array([3, 3]), None)
    assert len(merge(found, np.tile([0, 0, 60, 40], (4, 1))).boxes) == 2


def test_nothing_found() -> None:
    found = Found(np.zeros((0, 4), np.float32), *(np.zeros(0, int) for _ in range(3)), [])
    assert len(merge(found, np.array([[0, 0, 60, 40]])).boxes) == 0


def test_panoptic_tiles_are_sewn_together() -> None:
    truth = np.ones((40, 60), np.int32)  # stuff, label 2
    truth[5:20, 10:50] = 2  # a thing over the seam, label 0
    truth[25:35, 5:15] = 3  # things of the same class elsewhere
    truth[25:35, 45:55] = 4
    label_of = {1: 2, 2: 0, 3: 0, 4: 0}
    grid = TileGrid.over(truth.shape, 36, 12)
    seams = Seams(np.zeros(truth.shape, np.int32))
    for index, (left, top, right, bottom) in enumerate(grid.windows().tolist()):
        row, column = divmod(index, len(grid.lefts))
        values, ids = np.unique(truth[top:bottom, left:right], return_inverse=True)
        own = (ids.reshape(bottom - top, right - left) + 1).astype(np.int32)
        labels = {i + 1: label_of[v] for i, v in enumerate(values.tolist())}
        margins = (
            grid.lefts[column - 1] + grid.width - left if column else 0,
            grid.tops[row - 1] + grid.height - top if row else 0,
        )
        seams.add(own, labels, {i: v == 0 for i, v in labels.items()}, (left, top), margins)
    pairs = {(int(a), int(b)) for a, b in zip(truth.ravel(), seams.ids.ravel(), strict=True)}
    assert len(pairs) == 4  # the same partition
    assert {label_of[a]: seams.labels[b] for a, b in pairs} == {2: 2, 0: 0}
