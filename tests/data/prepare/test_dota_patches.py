"""Which objects a patch has: cases worked by hand, and the toolkit's splitter."""

import numpy as np
import pytest

from fdam_mm.data.formats.dota import Labels
from fdam_mm.data.pictures.windows import place_windows
from fdam_mm.data.prepare.dota_patches import CUT, PatchLabels, labels_in_windows

WINDOWS = np.array([[0, 0, 1024, 1024], [824, 0, 1848, 1024]])  # of a picture 1848 x 1024


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def sort(*corners: list[list[float]], difficult: int = 0) -> PatchLabels:
    count = len(corners)
    labels = Labels(
        np.array(corners, dtype=np.float64), [f"c{i}" for i in range(count)], [difficult] * count
    )
    return labels_in_windows(labels, WINDOWS, 1848, 1024)


def seen(patches: PatchLabels) -> list[list[tuple[str, int]]]:
    """Return categories and difficulties in each window."""
    return [list(zip(w.categories, w.difficult, strict=True)) for w in patches.windows]


def test_whole_objects() -> None:
    """c0 is in the left window, c1 in the overlap, c2 in the right one."""
    patches = sort(box(10, 10, 110, 60), box(830, 20, 1020, 60), box(1030, 0, 1848, 1024))
    assert seen(patches) == [[("c0", 0), ("c1", 0)], [("c1", 0), ("c2", 0)]]
    assert patches.windows[0].corners[1].tolist() == box(830, 20, 1020, 60)
    assert patches.windows[1].corners[0].tolist() == box(6, 20, 196, 60)
    assert patches.windows[1].corners[1].tolist() == box(206, 0, 1024, 1024)
    assert patches.outside == patches.unseen == []


def test_border_counts_as_inside() -> None:
    patches = sort(box(724, 0, 1024, 10), box(824, 10, 1124, 20))
    assert seen(patches) == [[("c0", 0)], [("c1", 0)]]


@pytest.mark.parametrize(("shown", "kept"), [(69, False), (70, True), (71, True), (99, True)])
def test_cut_objects(shown: int, kept: bool) -> None:
    """Of 100 columns the left window shows so many. The other has them all, or nearly all."""
    left = 1024 - shown
    patches = sort(box(left, 0, left + 100, 50))
    assert seen(patches)[0] == ([("c0", CUT)] if kept else [])
    assert seen(patches)[1] == [("c0", 0)]
    if kept:  # not clipped
        assert patches.windows[0].corners[0].tolist() == box(left, 0, left + 100, 50)


def test_difficult_objects_are_kept() -> None:
    """A cut makes them 2, whatever they were."""
    patches = sort(box(10, 10, 20, 20), box(950, 0, 1050, 10), difficult=1)
    assert seen(patches) == [[("c0", 1), ("c1", CUT)], [("c1", 1)]]


def test_rotated_object() -> None:
    """A square on its corner, of half diagonal 100. Beyond x = 1024 lies a triangle.

    With its centre at 984 the triangle is 60 high and 120 wide: 3600 of 20000, so 0.82 is shown.
    """
    diamond = [[984, 400], [1084, 500], [984, 600], [884, 500]]
    assert seen(sort(diamond)) == [[("c0", CUT)], [("c0", 0)]]
    centre = 1064  # the part shown is a triangle of 60 x 120 now: 0.18
    diamond = [[centre, 400], [centre + 100, 500], [centre, 600], [centre - 100, 500]]
    assert seen(sort(diamond)) == [[], [("c0", 0)]]


def test_object_larger_than_the_overlap() -> None:
    """1500 columns; each window shows 850 of them, 0.57."""
    patches = sort(box(174, 0, 1674, 10))
    assert seen(patches) == [[], []]
    assert (patches.outside, patches.unseen) == ([], [0])


def test_object_outside_the_picture() -> None:
    patches = sort(box(3000, 0, 3100, 50), box(1800, 0, 1900, 50), box(1780, 0, 1860, 50))
    assert seen(patches) == [[], [("c2", CUT)]]
    assert (patches.outside, patches.unseen) == ([0, 1], [])


def test_padding_shows_nothing() -> None:
    """A picture of 170 x 170 in a window of 1024: only what is on the picture counts."""
    labels = Labels(
        np.array([box(359, 497, 543, 677), box(10, 10, 40, 40), box(80, 0, 180, 10)], float),
        ["far", "in", "cut"],
        [0, 0, 0],
    )
    patches = labels_in_windows(labels, WINDOWS[:1], 170, 170)
    assert seen(patches) == [[("in", 0), ("cut", CUT)]]
    assert patches.outside == [0]


def test_corners_in_a_wrong_order() -> None:
    """A bow tie is taken as the hull of its corners."""
    bow_tie = [[924, 0], [1124, 100], [1124, 0], [924, 100]]
    assert seen(sort(bow_tie)) == [[], [("c0", 0)]]
    bow_tie = [[884, 0], [1084, 100], [1084, 0], [884, 100]]
    assert seen(sort(bow_tie)) == [[("c0", CUT)], [("c0", 0)]]


def test_dented_object() -> None:
    """An arrow head, 100 x 100, whose dent reaches to its middle: 2500 pixels.

    65 columns are shown. What is not are two triangles of together 35 * 35 / 2 = 612.5, so 0.755
    is shown, though it is 0.42 of the hull.
    """
    arrow = [[959, 50], [1059, 0], [1009, 50], [1059, 100]]
    assert seen(sort(arrow)) == [[("c0", CUT)], [("c0", 0)]]


@pytest.mark.parametrize("corners", [[[5, 5]] * 4, [[5, 5], [9, 9], [7, 7], [6, 6]]])
def test_object_without_area(corners: list[list[float]]) -> None:
    patches = sort(corners, box(0, 0, 10, 10))
    assert seen(patches) == [[("c1", 0)], []]
    assert patches.outside == [0]


def test_no_objects() -> None:
    labels = Labels(np.zeros((0, 4, 2)), [], [])
    patches = labels_in_windows(labels, WINDOWS, 1848, 1024)
    assert [window.corners.shape for window in patches.windows] == [(0, 4, 2)] * 2


def test_equal_to_the_toolkit(toolkit_splitter) -> None:
    rng = np.random.default_rng(0)
    width, height = 2300, 1500
    windows = place_windows(width, height, [2048, 1024, 682], [1000, 500, 333])
    centres = rng.uniform(0, [width, height], (400, 1, 2))
    sides = rng.uniform(2, 300, (400, 2, 1))
    angles = rng.uniform(0, np.pi, 400)
    axes = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)], axis=1)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = np.round(centres + signs @ (sides * axes.reshape(-1, 2, 2) / 2))
    corners = corners.clip(0, [width, height])
    labels = Labels(corners, [str(i) for i in range(400)], rng.integers(0, 2, 400).tolist())
    info = dict(
        ann=dict(
            bboxes=corners.reshape(-1, 8).astype(np.float32),
            labels=labels.categories,
            diffs=np.array(labels.difficult),
        )
    )
    expected = toolkit_splitter.get_window_obj(info, windows, 0.7)
    found = labels_in_windows(labels, windows, width, height)
    assert sum(len(window.categories) for window in found.windows) > 500
    for window, ours, theirs in zip(windows, found.windows, expected, strict=True):
        assert ours.categories == theirs["labels"]
        difficult = np.where(theirs["trunc"], 2, theirs["diffs"]).tolist()
        assert ours.difficult == difficult
        moved = toolkit_splitter.translate(theirs["bboxes"], -window[0], -window[1])
        np.testing.assert_array_equal(ours.corners.reshape(-1, 8), moved)
