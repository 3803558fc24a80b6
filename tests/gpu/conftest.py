"""All tests here need an NVIDIA GPU: `make test-gpu`.

FDAM_GPU_TESTS_ON=cpu tries the tests themselves on a CPU, those that need no CUDA library.
"""

import os
from collections.abc import Iterator

import pytest
import torch

DEVICE = os.environ.get("FDAM_GPU_TESTS_ON", "cuda")


@pytest.fixture
def device() -> torch.device:
    return torch.device(DEVICE)


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    """The device of a test that makes no sense on another."""
    if device.type != "cuda":
        pytest.skip("needs CUDA itself")
    return device


@pytest.fixture(autouse=True)
def _exact_and_seeded() -> Iterator[None]:
    """Full float32 in products and convolutions, so that errors are ours."""
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DEVICE == "cuda":
        for item in items:
            if item.path.parent.name == "gpu":
                item.add_marker(pytest.mark.gpu)
