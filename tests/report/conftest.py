"""Work folders of small models, shared by the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.quick_start import start_quickly
from support.tools import ROOT, TINY

from fdam_mm.apis import load_model, train
from fdam_mm.data.demo.demo_set import write_demo_set
from fdam_mm.report.runs import ReportedRun, read_run
from fdam_mm.training.config import read_config

DETECTOR = ROOT / "tests/support/tiny_detector.py"
ORIENTED = ROOT / "configs/demo/oriented-rcnn_lsknet_demo.py"


@pytest.fixture(scope="session", autouse=True)
def quick_start() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        start_quickly(patch)
        yield


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a trained segmentor."""
    root = tmp_path_factory.mktemp("report")
    write_demo_set(root / "demo", num_train=8, num_val=4, size=64)
    name = 'a<b> & "c"'  # to be escaped
    return train(TINY, root / name, data_root=str(root / "demo")).work_dir


@pytest.fixture(scope="session")
def run(work_dir: Path) -> ReportedRun:
    return read_run(work_dir)


def untrained(root: Path, config: Path, layout: str, size: int) -> Path:
    """A work folder of a model with drawn weights."""
    write_demo_set(root / "demo", num_train=2, num_val=3, size=size, layout=layout)
    options = {"data_root": f"{root / 'demo'}/", "test_dataloader.num_workers": 0}
    options["test_dataloader.persistent_workers"] = False
    folder = root / "work"
    folder.mkdir()
    settings = read_config(str(config), options)
    (folder / "config.py").write_text(settings.dump())
    torch.manual_seed(0)
    torch.save(
        dict(state_dict=load_model(settings, device="cpu").state_dict()), folder / "iter_1.pth"
    )
    return folder


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> ReportedRun:
    return read_run(untrained(tmp_path_factory.mktemp("boxes"), DETECTOR, "coco", 64))


@pytest.fixture(scope="session")
def oriented(tmp_path_factory: pytest.TempPathFactory) -> ReportedRun:
    return read_run(untrained(tmp_path_factory.mktemp("rotated"), ORIENTED, "dota", 192))
