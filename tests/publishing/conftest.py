"""A trained segmentor that kept an average of its weights, published; and a hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_hub import FakeHub, serving
from support.tools import TINY

from fdam_mm.apis import publish, train
from fdam_mm.data.demo.demo_set import write_demo_set


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training with EMA, whose data lie at an absolute path."""
    folder = tmp_path_factory.mktemp("publishing")
    write_demo_set(folder / "demo", num_train=4, num_val=2, size=64)
    settings = {
        "data_root": str(folder / "demo"),
        "custom_hooks": [dict(type="EMAHook", momentum=0.5)],
        "train_cfg.max_iters": 2,
        "train_cfg.val_interval": 2,
        "default_hooks.checkpoint.interval": 2,
    }
    return train(TINY, folder / "tiny", **settings).work_dir


@pytest.fixture(scope="session")
def published(work_dir: Path) -> Path:
    return publish(work_dir, license="cc-by-4.0", data="drawn textures")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """At 127.0.0.1, with a cache of its own; huggingface_hub reads both when it is imported."""
    constants = pytest.importorskip("huggingface_hub").constants
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
        monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
        yield served
