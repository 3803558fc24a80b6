"""Values out of their range."""

from typing import Any

import pytest

from fdam_mm.errors import ConfigError
from fdam_mm.training.config import read_config

DEMO = "configs/demo/vit_demo.py"
CLASSES = "train_dataloader.dataset.metainfo.classes"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.backbone.drop_path_rate", 2.0, "is 2.0, expected a number from 0 to below 1"),
        ("model.backbone.drop_path_rate", 1, "is 1, expected a number from 0"),
        ("model.backbone.drop_path_rate", -0.1, "is -0.1"),
        ("model.backbone.drop_path_rate", float("nan"), "is nan"),
        ("model.decode_head.dropout_ratio", 1.5, "is 1.5"),
        ("default_hooks.checkpoint.interval", 0, "is 0, expected a whole number from 1, or -1"),
        ("default_hooks.checkpoint.interval", "10", "is '10', expected a whole number"),
        ("default_hooks.logger.interval", 0, "is 0, expected a whole number from 1"),
        ("train_cfg.max_iters", 0, "is 0, expected a whole number from 1"),
        ("train_cfg.max_iters", 2.5, "is 2.5"),
        ("train_cfg.max_iters", "160k", "is '160k'"),
        ("train_cfg.max_iters", True, "is True"),
        ("train_cfg.val_interval", 0, "is 0, expected .* val_dataloader=None"),
        ("train_dataloader.batch_size", 0, "is 0, expected a whole number from 1"),
        ("val_dataloader.num_workers", -1, "is -1, expected a whole number from 0"),
        ("optim_wrapper.optimizer.lr", -1, "is -1, expected a number from 0"),
        ("optim_wrapper.optimizer.weight_decay", "a", "is 'a', expected a number from 0"),
        ("optim_wrapper.optimizer.lr", "1e-4x", "is '1e-4x'"),
        (CLASSES, "disc", r"""is 'disc', expected a list .* one name alone is \("NAME",\)"""),
        (CLASSES, [1, 2], r"is \[1, 2\], expected a list or tuple of names"),
    ],
)
def test_wrong_values(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key} {message}"):
        read_config(DEMO, {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_hooks.checkpoint.interval", -1),
        ("model.backbone.drop_path_rate", 0.99),
        ("train_dataloader.num_workers", 0),
        ("log_level", "WARNING"),
        (CLASSES, ("disc",)),
        (CLASSES, "requirements.txt"),  # mmengine reads such a file
    ],
)
def test_right_values(key: str, value: Any) -> None:
    assert read_config(DEMO, {key: value})


@pytest.mark.parametrize("value", [True, False, "auto", None])
def test_how_to_resume(value: Any) -> None:
    assert read_config(DEMO, {"resume": value}).resume == value
