"""Checkpoints of which a part is damaged, and what is said of it before anything is resumed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import RUNNERS
from support.training import toy_config

from fdam_mm.checkpoints import load
from fdam_mm.errors import CheckpointError
from fdam_mm.training import resumable

EMA = [dict(type="EMAHook")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("whole")
    RUNNERS.build(toy_config(folder, iterations=2, custom_hooks=EMA)).train()
    return load(folder / "iter_2.pth")


def resume(folder: Path, checkpoint: dict[str, Any]) -> None:
    torch.save(checkpoint, folder / "broken.pth")
    changes = dict(load_from=str(folder / "broken.pth"), resume=True, custom_hooks=EMA)
    RUNNERS.build(toy_config(folder / "run", iterations=3, **changes)).train()


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Replace what is under the keys ``path[:-1]`` by the last."""
    *outer, key, value = path

    def damage(checkpoint: dict[str, Any]) -> None:
        for name in outer:
            checkpoint = checkpoint[name]
        checkpoint[key] = value

    return damage


def drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    *outer, key = path

    def damage(checkpoint: dict[str, Any]) -> None:
        for name in outer:
            checkpoint = checkpoint[name]
        del checkpoint[key]

    return damage


WRONG = [
    (drop("meta"), "meta is missing, expected a dict"),
    (put("meta", None), "meta is missing"),
    (put("meta", [1]), "meta is a list"),
    (drop("meta", "iter"), "meta.iter is missing, expected a number of steps"),
    (put("meta", "iter", "two"), "meta.iter is a str"),
    (put("meta", "iter", -1), "meta.iter is -1"),
    (put("meta", "epoch", 1.5), "meta.epoch is 1.5"),
    (put("meta", "epoch", True), "meta.epoch is True"),
    (put("message_hub", 3), "message_hub is 3, expected a dict"),
    (put("message_hub", "log_scalars", None), "message_hub.log_scalars is missing"),
    (put("message_hub", "runtime_info", {1: 2}), "message_hub.runtime_info has the key 1"),
    (put("optimizer", None), "optimizer is missing, expected a dict"),
    (put("optimizer", {}), "optimizer has no state and param_groups"),
    (put("optimizer", "param_groups", {}), "optimizer has no state and param_groups"),
    (put("optimizer", "param_groups", []), "optimizer has groups of .. tensors"),
    (put("optimizer", "param_groups", [None]), "optimizer.param_groups.0 is missing"),
    (put("optimizer", "param_groups", 0, "params", "x"), r"groups of .None. tensors"),
    (put("optimizer", "state", 0, "exp_avg", torch.ones(9)), "state.0.exp_avg is a tensor of"),
    (put("optimizer", "state", 0, "exp_avg", None), "state.0.exp_avg is missing"),
    (put("optimizer", "state", 1, 7), "optimizer.state.1 is 7"),
    (put("param_schedulers", None), "param_schedulers is missing, expected a list of 1"),
    (put("param_schedulers", []), "param_schedulers is a list of 0"),
    (put("param_schedulers", [3]), "param_schedulers.0 is 3, expected a dict"),
    (put("param_schedulers", 0, "last_step", "x"), "param_schedulers.0.last_step is a str"),
    (drop("param_schedulers", 0, "last_step"), "last_step is missing, the config's Poly"),
    (put("ema_state_dict", None), "ema_state_dict does not fit the model: it holds a NoneType"),
    (put("ema_state_dict", {}), "it holds nothing"),
    (put("ema_state_dict", "module.net.0.weight", "x"), "'module.net.0.weight' is a str"),
    (put("ema_state_dict", "module.net.0.weight", torch.ones(9, 3)), r"is \(9, 3\), the model's"),
    (drop("ema_state_dict", "module.net.0.weight"), "'module.net.0.weight' is missing"),
    (put("ema_state_dict", "module.other", torch.ones(1)), "'module.other' is"),
    (put("state_dict", None), "'state_dict' is a NoneType"),
    (put("state_dict", {}), "holds nothing where the weights belong"),
    (put("state_dict", 5, torch.ones(1)), "the name of a weight is 5"),
    (put("state_dict", "net.0.weight", None), "'net.0.weight' is a NoneType"),
]


@pytest.mark.parametrize(("damage", "message"), WRONG, ids=[text for _, text in WRONG])
def test_damaged_parts(
    whole: dict[str, Any], tmp_path: Path, damage: Callable, message: str
) -> None:
    checkpoint = copy.deepcopy(whole)
    damage(checkpoint)
    with pytest.raises(CheckpointError, match=rf"broken.pth.*{message}") as info:
        resume(tmp_path, checkpoint)
    assert "\n" not in str(info.value)


def test_missing_parts_are_said(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(resumable, "print_log", lambda text, *_, **__: said.append(text))
    resume(tmp_path, {k: whole[k] for k in ("meta", "state_dict")})
    for part in ("optimizer", "param_schedulers"):
        assert any(f"broken.pth has no {part}: it starts afresh" in text for text in said)


def test_the_whole_one_resumes(whole: dict[str, Any], tmp_path: Path) -> None:
    resume(tmp_path, whole)
    assert list((tmp_path / "run").glob("*/vis_data/scalars.json"))  # of the third iteration
