"""A training that is no longer finite ends, and nothing of it is saved."""

from pathlib import Path

import pytest
import torch
from support.training import VALIDATION, ToyMetric, ToyProcess, toy

from fdam_mm.checkpoints import load
from fdam_mm.errors import DivergedError, UsageError

SKIP = dict(default_hooks__finite__action="skip")
BEST = dict(
    VALIDATION,
    train_cfg__val_interval=1,
    default_hooks__checkpoint__save_best="score",
    default_hooks__checkpoint__rule="greater",
)


def saved(work_dir: Path) -> list[str]:
    return sorted(file.name for file in work_dir.glob("*.pth"))


def test_a_training_stops_where_its_weights_are_lost(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="iteration 3: loss nan, loss_a nan; .*net.0.weight"):
        toy(tmp_path, model__nan_at=[3]).train()
    assert saved(tmp_path) == ["iter_2.pth"]


def test_a_finite_loss_with_infinite_gradients_is_not_saved(tmp_path: Path) -> None:
    runner = toy(tmp_path, optim_wrapper__clip_grad=None)
    layer = runner.model.net[3].weight
    layer.register_hook(lambda grad: grad * torch.inf if runner.iter == 1 else grad)
    with pytest.raises(DivergedError, match="iter_2.pth is not saved; .*net.3.weight"):
        runner.train()
    assert saved(tmp_path) == []


def test_skipping_leaves_out_the_bad_step_alone(tmp_path: Path) -> None:
    runner = toy(tmp_path, model__nan_at=[3], **SKIP)
    weights = []
    layer = runner.model.net[3].weight
    runner.model.register_forward_pre_hook(lambda *_: weights.append(layer.detach().clone()))
    runner.train()
    same = [torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False)]
    assert same == [False, False, True, False, False]
    assert saved(tmp_path) == ["iter_2.pth", "iter_4.pth", "iter_6.pth"]


@pytest.mark.parametrize(
    "nan_at, ends_at", [([1, 2, 4, 5], None), ([2, 3, 4, 6], 4), ([1, 2, 3, 4, 5, 6], 3)]
)
def test_patience_counts_in_a_row(tmp_path: Path, nan_at: list[int], ends_at: int | None) -> None:
    runner = toy(tmp_path, model__nan_at=nan_at, default_hooks__finite__patience=3, **SKIP)
    if ends_at is None:
        runner.train()
        return
    with pytest.raises(DivergedError, match=f"iteration {ends_at}: 3 iterations in a row"):
        runner.train()


def test_a_training_without_one_good_step_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="6 iterations in a row .*all of this training"):
        toy(tmp_path, model__nan_at=[1, 2, 3, 4, 5, 6], **SKIP).train()


def test_an_overflowing_norm_of_gradients_counts(tmp_path: Path) -> None:
    """Clipping by an infinite norm makes every gradient zero: nothing is learnt or breaks."""
    runner = toy(tmp_path, default_hooks__finite__patience=2)
    runner.model.net[3].weight.register_hook(lambda grad: torch.full_like(grad, 3e38))
    with pytest.raises(
        DivergedError, match="2 iterations in a row were not finite .grad_norm inf"
    ):
        runner.train()


def test_averaged_weights_and_optimizer_states_are_looked_at(tmp_path: Path) -> None:
    runner = toy(tmp_path, custom_hooks=[dict(type="EMAHook")])
    runner.model.net[3].weight.register_hook(lambda grad: grad * 0 + 1e30)
    runner.optim_wrapper["clip_grad"] = None
    with pytest.raises(DivergedError, match="optimizer 4.exp_avg_sq"):  # 1e60 is no float32
        runner.train()
    runner = toy(tmp_path / "ema", custom_hooks=[dict(type="EMAHook")])
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == "EMAHook")

    def break_average(_: torch.Tensor) -> None:
        ema.ema_model.module.net[0].bias.data.fill_(torch.nan)

    runner.model.net[0].weight.register_hook(break_average)
    with pytest.raises(DivergedError, match="averaged net.0.bias"):
        runner.train()


def test_infinities_that_the_model_is_built_with_do_not_count(tmp_path: Path) -> None:
    toy(tmp_path, iterations=2, model__mask=True).train()
    assert load(tmp_path / "iter_2.pth")["state_dict"]["mask"].isinf().all()


def test_a_broken_model_is_never_the_best(tmp_path: Path) -> None:
    """Nan weights have a score as well: everything is of the first class."""
    runner = toy(tmp_path, model__nan_at=[3], default_hooks__checkpoint__interval=5, **BEST)
    with pytest.raises(DivergedError):
        runner.train()
    assert saved(tmp_path) == ["best_score_iter_1.pth"]
    late = dict(default_hooks__checkpoint__interval=5, optim_wrapper__clip_grad=None)
    runner = toy(tmp_path / "late", **late, **BEST)
    weight = runner.model.net[3].weight
    weight.register_hook(lambda grad: grad * torch.nan if runner.iter == 1 else grad)
    with pytest.raises(DivergedError, match="iteration 2, before its validation"):
        runner.train()
    assert saved(tmp_path / "late") == ["best_score_iter_1.pth"]


@pytest.mark.parametrize("score", [torch.nan, torch.inf])
def test_a_score_that_is_no_number_is_never_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    scores = iter([score, 3.0, score, 4.0, 2.0, score])
    monkeypatch.setattr(ToyMetric, "compute_metrics", lambda *_: dict(score=next(scores)))
    toy(tmp_path, **BEST).train()
    assert [name for name in saved(tmp_path) if "best" in name] == ["best_score_iter_4.pth"]


def test_resuming_broken_weights_ends_at_once(tmp_path: Path) -> None:
    toy(tmp_path, iterations=2).train()
    checkpoint = load(tmp_path / "iter_2.pth")
    checkpoint["state_dict"]["net.0.weight"][0] = torch.nan
    torch.save(checkpoint, tmp_path / "iter_2.pth")
    with pytest.raises(DivergedError, match="iteration 3: "):
        toy(tmp_path, iterations=4, resume=True).train()
    assert saved(tmp_path) == ["iter_2.pth"]


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="default_hooks.finite.action is 'halt'"):
        toy(tmp_path, default_hooks__finite__action="halt")
    with pytest.raises(UsageError, match="default_hooks.finite.patience is 0"):
        toy(tmp_path, default_hooks__finite__patience=0)


def test_processes_end_together(tmp_path: Path) -> None:
    """The loss of the second is nan, and the mean tells both."""
    settings = dict(model__nan_at=[3], model__nan_rank=1)
    code, out, err = ToyProcess(tmp_path, processes=2, **settings).end()
    assert code == 1
    said = "toy_train.py: error: iteration 3: loss nan, loss_a nan; 18 tensors are nan"
    assert err.count(said) == 2
    assert saved(tmp_path) == ["iter_2.pth"]
