from collections import Counter

import cv2
import numpy as np
import pytest

from fdam_mm.data.demo.aerial import CLASSES, PALETTE, AerialScene, draw_aerial

SIZE = (192, 192)


@pytest.fixture(scope="module")
def scenes() -> list[AerialScene]:
    return [draw_aerial(np.random.default_rng([3, index]), SIZE) for index in range(40)]


def test_same_seed_gives_same_scene() -> None:
    first, second = (draw_aerial(np.random.default_rng(5), SIZE) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    for ours, theirs in zip(first.objects, second.objects, strict=True):
        np.testing.assert_array_equal(ours.corners, theirs.corners)
    assert (first.image != draw_aerial(np.random.default_rng(6), SIZE).image).any()


def test_one_colour_for_each_class() -> None:
    assert len(PALETTE) == len(CLASSES) == len(set(map(tuple, PALETTE)))


def test_any_height_and_width() -> None:
    scene = draw_aerial(np.random.default_rng(0), (100, 260))
    assert scene.image.shape == (100, 260, 3) and scene.image.dtype == np.uint8


def test_objects_are_inside_and_apart(scenes: list[AerialScene]) -> None:
    for scene in scenes:
        covered = np.zeros(SIZE, np.uint8)
        for item in scene.objects:
            assert item.corners.shape == (4, 2)
            assert item.corners.min() >= 0 and item.corners.max() < SIZE[0]
            inner = np.zeros(SIZE, np.uint8)
            cv2.fillConvexPoly(inner, np.int32(np.round(item.corners)), 1)
            covered += cv2.erode(inner, np.ones((3, 3)))
        assert covered.max() <= 1


def test_corners_make_rectangles_that_run_clockwise(scenes: list[AerialScene]) -> None:
    for item in (item for scene in scenes for item in scene.objects):
        a, b, c, d = item.corners
        np.testing.assert_allclose(b - a, c - d)
        side, front = b - a, a - d
        assert side @ front == pytest.approx(0, abs=1e-9)
        assert front[0] * side[1] - front[1] * side[0] > 0  # y points down
        longest = np.hypot(*front)
        assert longest >= np.hypot(*side) - 1e-9  # every class is at least as long as wide


def test_every_class_at_every_angle_small_ones_in_rows(scenes: list[AerialScene]) -> None:
    counts = Counter(CLASSES[item.class_id] for scene in scenes for item in scene.objects)
    assert set(counts) == set(CLASSES) and min(counts.values()) >= 10
    assert counts["small-vehicle"] == max(counts.values())
    for class_id, name in enumerate(CLASSES):
        items = [item for scene in scenes for item in scene.objects if item.class_id == class_id]
        fronts = np.array([item.corners[0] - item.corners[3] for item in items])
        quarter = np.degrees(np.arctan2(fronts[:, 1], fronts[:, 0])) // 90
        assert len(set(quarter)) == (1 if name == "storage-tank" else 4)


def test_objects_differ_from_the_ground(scenes: list[AerialScene]) -> None:
    """The label lies where something was drawn: sharp edges are denser inside the boxes."""
    inside, outside = [], []
    for scene in scenes:
        boxes = np.zeros(SIZE, np.uint8)
        for item in scene.objects:
            cv2.fillConvexPoly(boxes, np.int32(np.round(item.corners)), 1)
        grey = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY)
        edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
        inside.append(edges[boxes == 1].mean())
        outside.append(edges[boxes == 0].mean())
    assert np.mean(inside) > 1.5 * np.mean(outside)


def test_too_small_a_scene_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 96"):
        draw_aerial(np.random.default_rng(0), (64, 192))
