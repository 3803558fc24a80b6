"""More classes than a palette has colours, and drawing that fails: the results stay."""

from typing import Any

import pytest
from mmengine.hooks import Hook

from fdam_mm.toolkits.patches.results_first import keep_results
from fdam_mm.visualization.colours import with_palette

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
