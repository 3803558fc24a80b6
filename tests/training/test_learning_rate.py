"""``auto_scale_lr``: one switch, each rate scaled once, a resumed training's too."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from support.tools import ROOT
from support.training import toy

from fdam_mm.errors import ConfigError, UsageError
from fdam_mm.training.config import read_config
from fdam_mm.training.learning_rate import enable_auto_scale_lr

ON = dict(enable=True, base_batch_size=8)
GROUPS = dict(paramwise_cfg=dict(custom_keys={"net.0": dict(lr_mult=0.1)}))
CONSTANT = [dict(type="ConstantLR", factor=1.0, by_epoch=False)]


def rates(folder: Path, **settings: Any) -> list[float]:
    """Of the parameter groups, at the end of a training without a schedule; batches of 2."""
    settings.setdefault("optim_wrapper", GROUPS)
    runner = toy(folder, **{"iterations": 2, "param_scheduler": CONSTANT, **settings})
    runner.train()
    assert all(s.base_values == s.get_last_value() for s in runner.param_schedulers)
    return sorted({group["lr"] for group in runner.optim_wrapper.optimizer.param_groups})


def test_each_rate_is_scaled_once(tmp_path: Path) -> None:
    assert rates(tmp_path / "off") == pytest.approx([0.001, 0.01])
    assert rates(tmp_path / "on", auto_scale_lr=ON) == pytest.approx([0.001 / 4, 0.01 / 4])
    sums = dict(GROUPS, accumulative_counts=2)
    ours = rates(tmp_path / "sums", auto_scale_lr=ON, optim_wrapper=sums)
    assert ours == pytest.approx([0.001 / 2, 0.01 / 2])


@pytest.mark.parametrize("batch, before", [(2, ON), (4, ON), (4, None)])
def test_resumed_trainings_follow_their_batch(
    tmp_path: Path, batch: int, before: dict[str, Any] | None
) -> None:
    """The same batch changes nothing a second time."""
    rates(tmp_path, auto_scale_lr=before)
    settings = dict(resume=True, auto_scale_lr=ON, train_dataloader__batch_size=batch)
    expected = pytest.approx([0.001 * batch / 8, 0.01 * batch / 8])
    assert rates(tmp_path, iterations=4, **settings) == expected
    assert rates(tmp_path, iterations=6, **settings) == expected


def test_without_the_switch_the_rate_stays(tmp_path: Path) -> None:
    rates(tmp_path)
    settings = dict(resume=True, train_dataloader__batch_size=4)
    assert rates(tmp_path, iterations=4, **settings) == pytest.approx([0.001, 0.01])


@pytest.mark.parametrize("base", [0, "a"])
def test_a_base_that_is_none(tmp_path: Path, base: Any) -> None:
    settings = dict(enable=True, base_batch_size=base)
    with pytest.raises(ConfigError, match="auto_scale_lr.base_batch_size is"):
        rates(tmp_path, auto_scale_lr=settings)


def test_the_switch_needs_a_base() -> None:
    with pytest.raises(UsageError, match="auto_scale_lr.base_batch_size=16"):
        enable_auto_scale_lr(Config(dict(auto_scale_lr=None)))
    config = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=4)))
    enable_auto_scale_lr(config)
    assert config.auto_scale_lr.enable


@pytest.mark.parametrize(
    "file, base",
    [
        ("deit3/fdam-deit3-b16_upernet_4xb4-160k_ade20k-512x512.py", 16),
        ("segformer/fdam-segformer_mit-b2_8xb2-160k_ade20k-512x512.py", 16),
        ("segformer/fdam-segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py", 8),
        ("mask_dino/fdam-mask-dino_r50_3scale_8xb2-160k_ade20k-512x512.py", 16),
        ("lsknet/fdam-oriented-rcnn-le90_lsknet-s_fpn_1x_dota.py", 8),
        ("lsknet/fdam-s2anet-le90_lsknet-s_fpn_1x_dota.py", 8),
    ],
)
def test_configs_have_their_base(file: str, base: int) -> None:
    config = read_config(str(ROOT / "configs" / file), {})
    assert config.auto_scale_lr == dict(enable=False, base_batch_size=base)
