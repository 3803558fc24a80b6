"""Work in several processes."""

import os

import pytest

from fdam_mm.data.prepare.workers import WorkerError, map_in_order


@pytest.mark.parametrize("workers", [1, 2])
def test_order(workers: int) -> None:
    assert list(map_in_order(abs, [-3, 1, -2, 5], workers)) == [3, 1, 2, 5]
    assert list(map_in_order(abs, [], workers)) == []


def test_a_worker_that_dies() -> None:
    with pytest.raises(WorkerError, match="one of 2 processes was killed"):
        list(map_in_order(os._exit, [3, 3], 2))
