"""TensorBoard and MLflow get what is logged, offline; the best is kept; a training stops early."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import RUNNERS
from support.training import VALIDATION, toy_config

from fdam_mm.errors import UsageError
from fdam_mm.training import backends
from fdam_mm.training.backends import BACKENDS, add_backend


def trained(config: Config) -> None:
    RUNNERS.build(config).train()


def with_backend(folder: Path, name: str) -> Config:
    if find_spec(BACKENDS[name][1]) is None:
        pytest.skip(f"{name} is not installed")
    config = toy_config(folder, 3)
    add_backend(config, name)
    return config


def test_tensorboard(tmp_path: Path) -> None:
    trained(with_backend(tmp_path, "tensorboard"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = tmp_path.glob("*/vis_data")
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    assert (folder / "scalars.json").is_file()


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    trained(with_backend(tmp_path, "mlflow"))
    (file,) = tmp_path.glob("*/vis_data/*/*/metrics/loss")
    assert len(file.read_text().splitlines()) == 3


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "importable", lambda _: False)
    with pytest.raises(UsageError, match="--wandb needs the package wandb: pip install wandb"):
        add_backend(Config(), "wandb")


def test_backends_of_a_config_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "importable", lambda _: True)
    own = dict(type="MLflowVisBackend", exp_name="mine")
    config = Config(dict(visualizer=dict(type="Visualizer", vis_backends=[own])))
    for name in ("mlflow", "tensorboard"):
        add_backend(config, name)
    assert config.visualizer.vis_backends == [own, dict(type="TensorboardVisBackend")]


def test_early_stopping_and_the_best(tmp_path: Path) -> None:
    """The toy's score never changes: the first validation's checkpoint stays the best."""
    hook = dict(type="EarlyStoppingHook", monitor="score", rule="greater", patience=1)
    checkpoint = dict(save_best="score", rule="greater")
    trained(
        toy_config(
            tmp_path, 8, **VALIDATION, custom_hooks=[hook], default_hooks__checkpoint=checkpoint
        )
    )
    steps = [int(re.sub(r"\D", "", file.name)) for file in tmp_path.glob("iter_*.pth")]
    assert max(steps) == 4
    assert [file.name for file in tmp_path.glob("best_*")] == ["best_score_iter_2.pth"]
