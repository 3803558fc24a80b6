"""Names at the top of a config that nothing reads."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from fdam_mm.errors import ConfigError, UsageError
from fdam_mm.training.config import read_config

DEMO = "configs/demo/vit_demo.py"
ADE = "configs/deit3/deit3-b16_upernet_4xb4-160k_ade20k-512x512.py"


@pytest.mark.parametrize(
    ("file", "key", "value", "advice"),
    [
        (DEMO, "max_iters", 2, "max_iters sets a variable .* set train_cfg.max_iters"),
        (ADE, "max_iters", 2, "max_iters is no setting .* set train_cfg.max_iters"),
        (DEMO, "classes", ["a"], r"set train_dataloader.dataset.metainfo.classes, val_data"),
        (ADE, "crop_size", (64, 64), r"crop_size, .*model.data_preprocessor.size"),
        (DEMO, "norm_cfg.type", "BN", r"set model\.neck\.norm_cfg\.type"),
        (DEMO, "train_pipeline.2.prob", 0.1, "set train_dataloader.dataset.pipeline.2.prob"),
        (ADE, "optimizer.lr", 0.1, "set optim_wrapper.optimizer.lr"),
        (ADE, "dataset_type", "X", "set train_dataloader.dataset.type"),
        (DEMO, "num_classes", 3, "set model.decode_head.num_classes, model.auxiliary_head.num_"),
        (DEMO, "batch_size", 3, "set train_dataloader.batch_size, val_data"),
        (DEMO, "lr", 3, "set optim_wrapper.optimizer.lr"),
        (DEMO, "launcher", "pytorch", "dist_train.sh"),
        (DEMO, "cfg", 3, "cfg is no setting"),
        (DEMO, "custom_imports", None, "custom_imports sets a variable"),
        (DEMO, "modl.backbone", 3, "did you mean model"),
    ],
)
def test_what_does_nothing_is_refused(file: str, key: str, value: Any, advice: str) -> None:
    with pytest.raises(UsageError, match=advice) as error:
        read_config(file, {key: value})
    assert str(error.value).startswith(f"--cfg-options {key}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "key", ["resume", "load_from", "randomness.seed", "auto_scale_lr.enable", "tta_model",
            "find_unused_parameters", "custom_hooks", "demo_set.train", "experiment_name",
            "visualizer"],
)  # fmt: skip
def test_what_is_read_is_taken(key: str) -> None:
    assert read_config(DEMO, {key: None}) is not None


def test_every_key_named_is_one(tmp_path: Path) -> None:
    """What the message advises can be set."""
    with pytest.raises(UsageError) as error:
        read_config(DEMO, {"palette": []})
    key = str(error.value).partition("does nothing; set ")[2].split(",")[0]
    assert key == "train_dataloader.dataset.metainfo.palette"
    assert read_config(DEMO, {key: [[1, 2, 3]]}).train_dataloader.dataset.metainfo.palette


def test_a_root_without_anything_under_it(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(
        "data_root = 'a'\ntrain_dataloader = dict(batch_size=1, dataset=dict(data_root='b'))\n"
    )
    with pytest.raises(UsageError, match="data_root: no path .* lies under a, its data_root; set"):
        read_config(str(tmp_path / "config.py"), {"data_root": "c"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("optim_wraper", "optim_wrapper"),
        ("modle", "model"),
        ("trian_cfg", "train_cfg"),
        ("default_hook", "default_hooks"),
        ("param_schedular", "param_scheduler"),
        ("test_evaluators", "test_evaluator"),
    ],
)
def test_misspelt_names_in_a_file(name: str, meant: str, tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(f"_base_ = ['{Path(DEMO).absolute()}']\n{name} = dict(a=1)\n")
    with pytest.raises(ConfigError, match=f"{file}: {name} is read by nothing; .*mean {meant}"):
        read_config(str(file), {})


def test_variables_may_have_any_name(tmp_path: Path) -> None:
    names = ("models", "enc_cfg", "test_pipeline", "rest", "norm_cfg", "data_root2", "dataset")
    file = tmp_path / "config.py"
    file.write_text("".join(f"{name} = 1\n" for name in names))
    assert isinstance(read_config(str(file), {}), Config)
