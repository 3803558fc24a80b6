"""Settings of all tests."""

import gc

import pytest
import torch

torch.set_num_threads(1)  # the models are small: more threads would only wait for each other


def pytest_collection_finish() -> None:
    """Data sets collect garbage: let them not look through all that is imported by now."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none, so that it is counted."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU that torch can use"))
