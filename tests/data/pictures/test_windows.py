"""Window placement, by hand and against the toolkit's splitter."""

import numpy as np
import pytest

from fdam_mm.data.pictures.windows import place_windows


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (500, [0]),
        (1024, [0]),
        (1025, [0, 1]),
        (1848, [0, 824]),  # 824 + 1024 ends at the border
        (1849, [0, 824, 825]),
        (3000, [0, 824, 1648, 1976]),  # 2472 moves back to 3000 - 1024
    ],
)
def test_starts_along_a_side(length: int, starts: list[int]) -> None:
    windows = place_windows(length, 1024, [1024], [200])
    assert windows.tolist() == [[x, 0, x + 1024, 1024] for x in starts]
    windows = place_windows(1024, length, [1024], [200])
    assert windows.tolist() == [[0, y, 1024, y + 1024] for y in starts]


def test_order_is_by_columns() -> None:
    windows = place_windows(1848, 1848, [1024], [200])
    assert windows[:, :2].tolist() == [[0, 0], [0, 824], [824, 0], [824, 824]]


def test_flat_picture_keeps_all_its_windows() -> None:
    """700 rows fill 0.68 of a window. 600 fill 0.586, too little, but there is nothing better."""
    for height in (700, 600):
        windows = place_windows(3000, height, [1024], [200])
        assert windows[:, 0].tolist() == [0, 824, 1648, 1976]
        assert (windows[:, 3] == 1024).all()


def test_sizes_with_little_content_are_left_out() -> None:
    """1200 x 1200 fills 0.34 of 2048 x 2048 and all of the others."""
    windows = place_windows(1200, 1200, [2048, 1024, 682], [1000, 500, 333])
    sizes, counts = np.unique(windows[:, 2] - windows[:, 0], return_counts=True)
    assert dict(zip(sizes.tolist(), counts.tolist(), strict=True)) == {682: 9, 1024: 4}


def test_wrong_numbers() -> None:
    with pytest.raises(ValueError, match="overlap is 1024, expected 0 or more and less than 1024"):
        place_windows(2000, 2000, [1024], [1024])
    with pytest.raises(ValueError, match="picture is 0 x 5"):
        place_windows(0, 5, [1024], [200])


@pytest.mark.parametrize(
    ("sizes", "overlaps"), [([1024], [200]), ([2048, 1024, 682], [1000, 500, 333])]
)
def test_equal_to_the_toolkit(toolkit_splitter, sizes: list[int], overlaps: list[int]) -> None:
    rng = np.random.default_rng(0)
    sides = rng.integers(1, 6000, (300, 2)).tolist() + [[1024, 1024], [2048, 1229], [530, 520]]
    for width, height in sides:
        expected = toolkit_splitter.get_sliding_window(
            dict(width=width, height=height), sizes, overlaps, 0.6
        )
        found = place_windows(width, height, sizes, overlaps)
        np.testing.assert_array_equal(found, expected, err_msg=f"{width} x {height}")
