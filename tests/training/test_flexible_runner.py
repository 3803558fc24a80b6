"""mmengine's FlexibleRunner under our name: safe checkpoints and resuming."""

import inspect
import uuid
from pathlib import Path
from typing import Any

import torch
from mmengine._strategy.deepspeed import DeepSpeedOptimWrapper, DeepSpeedStrategy
from mmengine.evaluator import Evaluator
from mmengine.fileio import LocalBackend
from mmengine.registry import OPTIM_WRAPPERS, RUNNERS, STRATEGIES
from mmengine.runner._flexible_runner import FlexibleRunner
from support.tools import ROOT
from support.toy import Numbers, Score, Slope

from fdam_mm.checkpoints import load
from fdam_mm.toolkits.types import class_of
from fdam_mm.training import FDAMFlexibleRunner, SafeCheckpointHook
from fdam_mm.training.checkpoint_record import CheckpointRecord
from fdam_mm.training.config import read_config


def runner(folder: Path, max_iters: int = 4, **settings: Any) -> FDAMFlexibleRunner:
    loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type="pseudo_collate"))
    sampler = dict(type="DefaultSampler", shuffle=False)
    hook = dict(type="CheckpointHook", by_epoch=False, interval=1, max_keep_ckpts=2)
    return FDAMFlexibleRunner(
        model=Slope(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=Numbers(), sampler=dict(type="InfiniteSampler", shuffle=False), **loader
        ),
        val_dataloader=dict(dataset=Numbers(), sampler=sampler, **loader),
        val_cfg=dict(),
        val_evaluator=Evaluator(Score([1, 3, 2])),
        train_cfg=dict(by_epoch=False, max_iters=max_iters, val_interval=1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-3, momentum=0.9)),
        default_hooks=dict(checkpoint={**hook, "save_best": "acc", "rule": "greater"}),
        experiment_name=uuid.uuid4().hex,
        **settings,
    )


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.pth")}


def test_saves_rotates_and_resumes_as_ours(tmp_path: Path) -> None:
    first = runner(tmp_path / "run", 3)
    assert [type(h) for h in first.hooks if hasattr(h, "save_last")] == [SafeCheckpointHook]
    first.train()
    assert names(tmp_path / "run") == {"iter_2.pth", "iter_3.pth", "best_acc_iter_2.pth"}
    run = (tmp_path / "run").rename(tmp_path / "moved")
    assert (run / "last_checkpoint").read_text() == "iter_3.pth"
    (run / "last_checkpoint").write_text("")  # as a kill leaves mmengine's
    victim = tmp_path / "best_acc_iter_9.pth"
    victim.write_text("precious")
    checkpoint = load(run / "iter_3.pth")
    checkpoint["message_hub"]["runtime_info"]["best_ckpt"] = str(victim)
    checkpoint["meta"]["config"] = "raise SystemExit('executed')"
    torch.save(checkpoint, run / "iter_3.pth")
    second = runner(run, 5, resume=True)
    second.train()
    assert second.train_loop.iter == 5 and victim.exists()
    whole = runner(tmp_path / "whole", 5)
    whole.train()
    assert torch.equal(second.model.weight, whole.model.weight)


def test_folders_of_parts_are_rotated_where_a_training_wrote_them(tmp_path: Path) -> None:
    """As DeepSpeed and sharded FSDP write them."""
    run = runner(tmp_path, 4)

    def save(out_dir: str, filename: str, **_: Any) -> None:
        (Path(out_dir) / filename).mkdir(exist_ok=True)
        torch.save(dict(), Path(out_dir) / filename / "rank0.pth")

    run.save_checkpoint = save
    run.train()
    assert names(tmp_path) == {"iter_3.pth", "iter_4.pth", "best_acc_iter_2.pth"}
    record = CheckpointRecord(str(tmp_path), LocalBackend())
    (tmp_path / "mine.pth").mkdir()
    assert not record.remove("mine.pth") and (tmp_path / "mine.pth").is_dir()


def test_the_config_for_deepspeed_is_what_its_strategy_takes() -> None:
    """DeepSpeed is not installed here; docs/scaling.md says what was run elsewhere."""
    file = "configs/deit3/fdam-deit3-b16_upernet_deepspeed_4xb4-160k_ade20k-512x512.py"
    config = read_config(str(ROOT / file), {})
    settings = dict(config.strategy)
    assert class_of(config.runner_type, RUNNERS) is FlexibleRunner
    assert class_of(settings.pop("type"), STRATEGIES) is DeepSpeedStrategy
    inspect.signature(DeepSpeedStrategy).bind(**settings)
    wrapper = dict(config.optim_wrapper)
    assert class_of(wrapper["type"], OPTIM_WRAPPERS) is DeepSpeedOptimWrapper
    assert set(wrapper) == {"type", "optimizer", "constructor", "paramwise_cfg"}
