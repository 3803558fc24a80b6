"""Drawings that fail; tests/visualization/test_colours_of_classes.py has what becomes of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner


class Failing(Hook):
    def after_test_iter(self, *_: Any, **__: Any) -> None:
        raise IndexError("no colour")


def test_upstream_ends_the_test() -> None:
    with pytest.raises(IndexError, match="no colour"):
        Runner.call_hook(SimpleNamespace(_hooks=[Failing()]), "after_test_iter", batch_idx=0)
