"""A trained segmentor, shared by the tests of this folder."""

from pathlib import Path

import pytest
from support.tools import TINY

from fdam_mm.apis import Run, train
from fdam_mm.data.demo.demo_set import write_demo_set


@pytest.fixture(scope="session")
def demo_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("apis") / "demo"
    write_demo_set(root, num_train=8, num_val=4, size=64)
    return root


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, demo_set: Path) -> Run:
    return train(TINY, tmp_path_factory.mktemp("run") / "work", data_root=str(demo_set))
