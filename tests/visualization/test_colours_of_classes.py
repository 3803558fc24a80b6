"""More classes than a palette has colours, and drawing that fails: the results stay."""

from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.hooks import Hook

from fdam_mm.toolkits.patches.results_first import keep_results
from fdam_mm.visualization.colours import full_palette, with_palette

CLASSES = tuple(f"class {index}" for index in range(40))


@pytest.mark.parametrize("palette", [[(1, 2, 3), (4, 5, 6)], [], None])
def test_every_class_has_a_colour_of_its_own(palette: Any) -> None:
    meta = with_palette(dict(classes=CLASSES, palette=palette, other=1))
    assert len(set(meta["palette"])) == len(CLASSES) and meta["other"] == 1
    assert meta["palette"][: len(palette or [])] == (palette or [])


def test_what_suffices_stays() -> None:
    whole = dict(classes=("a",), palette=[(1, 2, 3), (4, 5, 6)])
    assert with_palette(whole) == whole
    named = dict(classes=CLASSES, palette="coco")
    assert with_palette(named) == named
    assert with_palette({}) == {}


def test_neighbours_can_be_told_apart() -> None:
    """A distance of 2 in CIELAB is just seen; labels are drawn over pictures, half transparent."""
    colours = np.array([full_palette(None, 24)], np.float32) / 255
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1e3 * np.eye(24)
    assert apart[:12, :12].min() > 40 and apart.min() > 30


def test_the_first_colours_stay_whatever_follows() -> None:
    assert full_palette(None, 2000)[:12] == full_palette(None, 12)
    assert full_palette([(1, 2, 3)], 3)[0] == (1, 2, 3) and full_palette(None, 0) == ()


class SomeVisualizationHook(Hook):
    """Fails at the second picture."""

    def __init__(self) -> None:
        self.drawn = 0

    def after_test_iter(self, *_: Any, **__: Any) -> None:
        self.drawn += 1
        if self.drawn == 2:
            raise IndexError("list index out of range")


def test_drawing_that_fails_waits_for_the_results() -> None:
    hook, other = SomeVisualizationHook(), Hook()
    keep_results([hook, other])
    for index in range(4):
        hook.after_test_iter(None, index)
    assert hook.drawn == 2
    with pytest.raises(IndexError, match="out of range"):
        hook.after_test(None)
    hook.after_test(None)  # the error comes once
