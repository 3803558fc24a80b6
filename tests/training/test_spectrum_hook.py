"""SpectrumHook: what it logs is what analysis measures, and the training is as without it."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS, RUNNERS
from support.training import toy_config
from torch import Tensor

from fdam_mm.errors import ConfigError
from fdam_mm.report.log import read_log


@MODELS.register_module()
class ToyViT(BaseModel):
    """On pictures made of the toy's three numbers."""

    def __init__(self, checkpointing: bool = False) -> None:
        super().__init__()
        self.backbone = timm.models.VisionTransformer(
            img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=0
        )
        self.backbone.set_grad_checkpointing(checkpointing)

    def forward(self, inputs: Any, mode: str = "tensor") -> dict[str, Tensor]:
        waves = torch.outer(torch.arange(16.0).cos(), torch.arange(16.0).sin())
        images = torch.stack(list(inputs))[:, :, None, None] * waves
        return dict(loss=self.backbone(images).square().mean())


def train(folder: Path, *hooks: dict, **model: Any) -> dict[str, Tensor]:
    config = toy_config(folder, 4, custom_hooks=list(hooks), model=dict(type="ToyViT", **model))
    runner = RUNNERS.build(config)
    runner.train()
    return runner.model.state_dict()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_it_logs_and_changes_nothing(checkpointing: bool, tmp_path: Path) -> None:
    hook = dict(type="SpectrumHook", interval=2)
    watched = train(tmp_path / "a", hook, checkpointing=checkpointing)
    plain = train(tmp_path / "b", checkpointing=checkpointing)
    assert all(watched[key].equal(plain[key]) for key in plain)
    spectra = read_log(tmp_path / "a").spectra
    assert sorted(spectra) == [
        f"{quantity}/blocks.{index}"
        for quantity in ("effective_rank", "high_frequency_ratio")
        for index in range(2)
    ]
    for name, series in spectra.items():
        assert sorted(series) == [2, 4]
        assert all(
            0 < value < 1 or "rank" in name and 1 <= value <= 16 for value in series.values()
        )
    (file,) = (tmp_path / "b").glob("*/vis_data/scalars.json")
    assert all("rank" not in key for line in file.open() for key in json.loads(line))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(interval=0), "interval is 0"),
        (dict(layers=["block.*"]), r"'block\.\*' is the name of no module"),
    ],
)
def test_what_is_refused(settings: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train(tmp_path, dict(type="SpectrumHook", **settings))
