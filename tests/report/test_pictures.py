"""Drawings of the report: the truth looks like a prediction."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fdam_mm.report.evaluating import Evaluation
from fdam_mm.report.pictures import true_panel

THINGS, STUFF = ("box",), ("grass", "sky")


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    """Of one picture: the sky above, grass below, a box in the grass."""
    ids = np.zeros((40, 60, 3), np.uint8)
    ids[:20], ids[20:] = (0, 2, 7), (0, 0, 9)  # BGR: 7 + 256 * 2, and 9
    ids[25:35, 10:20] = (0, 0, 4)
    cv2.imwrite(str(tmp_path / "p.png"), ids)
    cv2.imwrite(str(tmp_path / "p.jpg"), np.full((40, 60, 3), 128, np.uint8))
    segments = [
        dict(id=519, category=2, is_thing=False),
        dict(id=9, category=1, is_thing=False),
        dict(id=4, category=0, is_thing=True),
    ]
    info = dict(segments_info=segments, seg_map_path=str(tmp_path / "p.png"))
    dataset = type("Set", (), {"get_data_info": lambda self, index: info})()
    empty = np.zeros((4, 4))
    palette = ((250, 0, 0), (0, 250, 0), (0, 0, 250))
    return Evaluation(
        (*THINGS, *STUFF), palette, {}, {}, empty, [], [str(tmp_path / "p.jpg")],
        np.zeros(1), dataset,
    )  # fmt: skip


def test_the_truth_of_a_panoptic_set_is_its_segments(evaluation: Evaluation) -> None:
    drawn = true_panel(evaluation, 0).pixels
    strongest = drawn[[5, 38, 30], [30, 50, 15]].argmax(-1)
    assert strongest.tolist() == [2, 1, 0]  # sky blue, grass green, the box red
