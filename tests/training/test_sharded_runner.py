"""FSDP2 trains, saves and resumes as DDP does, and its checkpoints are DDP's."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from support.tools import ROOT
from support.training import EMA, VALIDATION, assert_same, losses, state, toy
from support.trainings import run_all

from fdam_mm.checkpoints import load
from fdam_mm.errors import ConfigError
from fdam_mm.layers import FreqScale
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.training.config import read_config
from fdam_mm.training.sharding import find_blocks, shard

SHARDED = dict(runner_type="FDAMShardedRunner")


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toys with averages, a validation, accumulated gradients and clipping, on two processes."""
    root = tmp_path_factory.mktemp("toys")
    settings: dict[str, Any] = dict(
        EMA,
        **VALIDATION,
        iterations=8,
        optim_wrapper__accumulative_counts=3,
        default_hooks__finite=dict(action="skip"),
    )
    sharded = {**settings, **SHARDED}
    middle = str(root / "sharded/iter_4.pth")
    log = run_all(
        [
            dict(work_dir=root / "ddp", settings=settings),
            dict(work_dir=root / "sharded", settings=sharded),
            dict(work_dir=root / "resumed", settings=sharded, resume=middle),
            dict(work_dir=root / "as_ddp", settings=settings, resume=middle),
            dict(work_dir=root / "plain_ddp", settings=dict(iterations=4)),
            dict(work_dir=root / "plain_sharded", settings=dict(iterations=4, **SHARDED)),
        ],
        root,
    )
    (root / "log").write_text(log)
    return root


def assert_close(ours: Any, theirs: Any) -> None:
    """Two checkpoints are the same but for rounding."""
    if isinstance(ours, torch.Tensor):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_close(ours[key], theirs[key])
    elif isinstance(ours, list):
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one, other)


@pytest.mark.slow
def test_is_ddp(toys: Path) -> None:
    """Gradients that accumulate are summed up over processes first, hence the rounding."""
    assert "shared out over 2 processes" in (toys / "log").read_text()
    assert losses(toys / "sharded") == pytest.approx(losses(toys / "ddp"), rel=1e-5)
    for step in (2, 4, 6, 8):
        ours, theirs = (toys / name / f"iter_{step}.pth" for name in ("sharded", "ddp"))
        assert_close(state(ours), state(theirs))
    ours, theirs = (load(toys / name / "iter_4.pth") for name in ("sharded", "ddp"))
    assert_close(ours["waiting_gradients"], theirs["waiting_gradients"])


@pytest.mark.slow
def test_without_accumulation_bit_for_bit(toys: Path) -> None:
    assert losses(toys / "plain_sharded") == losses(toys / "plain_ddp")
    ours, theirs = (toys / name / "iter_4.pth" for name in ("plain_sharded", "plain_ddp"))
    assert_same(state(ours), state(theirs))


@pytest.mark.slow
def test_resumes(toys: Path) -> None:
    assert "not exactly" not in (toys / "log").read_text()
    whole = {k: v for k, v in losses(toys / "sharded").items() if k > 4}
    assert losses(toys / "resumed") == whole
    assert_same(state(toys / "resumed/iter_8.pth"), state(toys / "sharded/iter_8.pth"))
    assert losses(toys / "as_ddp") == pytest.approx(whole, rel=1e-5)
    assert_close(state(toys / "as_ddp/iter_8.pth"), state(toys / "sharded/iter_8.pth"))


@pytest.mark.slow
def test_goes_on_alone(toys: Path) -> None:
    """On one process nothing is shared out; the samples go on where those of two were."""
    file = toys / "sharded/iter_6.pth"
    runner = toy(toys / "alone", iterations=8, resume=True, load_from=str(file), **EMA, **SHARDED)
    said = []
    runner.logger.info = lambda text, *_: said.append(str(text))
    runner.train()
    place = "1 processes with batches of 2 go on where 2 with batches of 2 were, after 24 samples"
    assert any(place in text for text in said)
    assert load(file)["resuming"]["samples_done"] == 24
    assert load(toys / "alone/iter_8.pth")["resuming"]["samples_done"] == 28


def test_a_name_that_fits_nothing() -> None:
    with pytest.raises(ConfigError, match="sharding.blocks: 'nett.*' fits no module"):
        shard(torch.nn.Sequential(torch.nn.Linear(2, 2)), blocks=["nett.*"])


def test_blocks_are_those_of_stacks() -> None:
    def block() -> torch.nn.Module:
        return torch.nn.TransformerEncoderLayer(8, 2, 16)

    stage = torch.nn.Module()
    stage.blocks = torch.nn.ModuleList(block() for _ in range(2))
    model = torch.nn.Module()
    model.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.BatchNorm2d(8))
    model.stages = torch.nn.ModuleList([stage])
    model.head = torch.nn.ModuleList([block()])
    assert find_blocks(model) == ["stages.0.blocks.0", "stages.0.blocks.1", "head.0"]


@pytest.mark.parametrize(
    "file, layers",
    [
        ("deit3/fdam-deit3-b16_upernet_fsdp_4xb4-160k_ade20k-512x512.py", ["backbone.blocks.11"]),
        (
            "mask_dino/fdam-mask-dino_r50_3scale_fsdp_8xb2-160k_ade20k-512x512.py",
            ["panoptic_head.pixel_decoder.encoder.layers.5", "panoptic_head.decoder.layers.8"],
        ),
    ],
)
def test_configs(file: str, layers: list[str]) -> None:
    config = read_config(str(ROOT / "configs" / file), {})
    assert config.runner_type == SHARDED["runner_type"]
    init_default_scope(config.default_scope)
    register_toolkit(config.default_scope)
    with torch.device("meta"):
        model = MODELS.build(config.model)
    blocks = find_blocks(model)
    assert set(layers) < set(blocks)
    inside = [name for name, m in model.named_modules() if isinstance(m, FreqScale)]
    assert inside and all(name.startswith(tuple(f"{b}." for b in blocks)) for name in inside)
