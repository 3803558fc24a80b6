"""A training that was killed and resumed is the uninterrupted one, bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.training import (
    EMA,
    EPOCHS,
    VALIDATION,
    ToyProcess,
    assert_same,
    losses,
    state,
    toy,
    wait_for,
)

from fdam_mm.checkpoints import load


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_iterations(tmp_path: Path, workers: int, persistent: bool) -> None:
    if persistent and not workers:
        pytest.skip("no workers")
    settings = dict(EMA, iterations=8)
    toy(tmp_path / "whole", **settings).train()
    settings["train_dataloader__num_workers"] = workers
    settings["train_dataloader__persistent_workers"] = persistent
    begin = tmp_path / "whole/iter_4.pth"
    toy(tmp_path / "resumed", resume=True, load_from=str(begin), **settings).train()
    assert_same(state(tmp_path / "resumed/iter_8.pth"), state(tmp_path / "whole/iter_8.pth"))
    whole = losses(tmp_path / "whole")
    assert losses(tmp_path / "resumed") == {step: whole[step] for step in (5, 6, 7, 8)}
    assert len(set(whole.values())) == 8


def test_epochs_from_the_middle(tmp_path: Path) -> None:
    settings = dict(EMA, **EPOCHS)
    toy(tmp_path / "whole", **settings).train()  # 3 epochs of 6, a checkpoint every second
    whole = losses(tmp_path / "whole")
    assert sorted(whole) == list(range(1, 19)) and len(set(whole.values())) == 18
    for begin in (4, 6, 10):
        file = tmp_path / f"whole/iter_{begin}.pth"
        toy(tmp_path / f"{begin}", resume=True, load_from=str(file), **settings).train()
        assert_same(
            state(tmp_path / f"{begin}/iter_18.pth"), state(tmp_path / "whole/iter_18.pth")
        )
        assert losses(tmp_path / f"{begin}") == {k: v for k, v in whole.items() if k > begin}


def resumed(tmp_path: Path, iteration: int, **settings: Any) -> tuple[Path, Path]:
    """An uninterrupted training, and one that goes on from its checkpoint of ``iteration``."""
    toy(tmp_path / "whole", **settings).train()
    file = tmp_path / f"whole/iter_{iteration}.pth"
    toy(tmp_path / "resumed", resume=True, load_from=str(file), **settings).train()
    last = max(losses(tmp_path / "whole"))
    assert_same(
        state(tmp_path / f"resumed/iter_{last}.pth"), state(tmp_path / f"whole/iter_{last}.pth")
    )
    assert max(losses(tmp_path / "resumed")) == last
    return tmp_path / "whole", tmp_path / "resumed"


@pytest.mark.parametrize("different", [False, True])
def test_a_seed_that_nobody_chose(tmp_path: Path, different: bool) -> None:
    resumed(tmp_path, 4, randomness=dict(seed=None, diff_rank_seed=different, _delete_=True))


def test_iterations_over_finite_passes(tmp_path: Path) -> None:
    """A sampler that ends is begun again, with the next order."""
    sampler = dict(type="DefaultSampler", shuffle=True, _delete_=True)
    resumed(tmp_path, 10, iterations=16, train_dataloader__sampler=sampler)


def test_batches_of_a_kind_of_their_own(tmp_path: Path) -> None:
    resumed(tmp_path, 4, train_dataloader__batch_sampler=dict(type="ToyPairs"))


def test_between_two_steps(tmp_path: Path) -> None:
    """Gradients are accumulated over three iterations, and saved after every second."""
    settings = dict(EMA, iterations=8, optim_wrapper__accumulative_counts=3)
    resumed(tmp_path, 4, **settings)
    assert "waiting_gradients" in load(tmp_path / "whole/iter_2.pth")
    assert "waiting_gradients" not in load(tmp_path / "whole/iter_6.pth")


@pytest.mark.parametrize("best", ["score", None])
@pytest.mark.parametrize("missed", [False, True])
def test_a_missed_validation_is_made_up_for(
    tmp_path: Path, best: str | None, missed: bool
) -> None:
    """A validation ends with its checkpoint saved anew, by the best score or without."""
    best_hook = dict(
        default_hooks__checkpoint__save_best=best, default_hooks__checkpoint__rule="greater"
    )
    settings = dict(EMA, **VALIDATION, **best_hook)
    toy(tmp_path / "whole", **settings).train()
    checkpoint = load(tmp_path / "whole/iter_2.pth")
    assert checkpoint["resuming"]["validated"]
    checkpoint["resuming"]["validated"] = not missed
    (tmp_path / "again").mkdir()
    torch.save(checkpoint, tmp_path / "again/iter_2.pth")
    toy(tmp_path / "again", resume=True, **settings).train()
    last = [state(tmp_path / name / "iter_6.pth") for name in ("whole", "again")]
    assert_same(*last)
    validations = [record for record in records(tmp_path / "again") if "score" in record]
    assert len(validations) == (3 if missed else 2)


def records(work_dir: Path) -> list[dict[str, Any]]:
    file = next(work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line) for line in file.read_text().splitlines()]


def killed(work_dir: Path, file: str, **settings: Any) -> None:
    """A training that is killed some time after it has written ``file``."""
    process = ToyProcess(work_dir, model__delay=0.05, **settings)
    wait_for((work_dir / file).exists)
    process.kill()
    assert not (work_dir / "iter_12.pth").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_kills(tmp_path: Path, processes: int) -> None:
    settings = dict(
        EMA,
        iterations=12,
        processes=processes,
        train_dataloader__num_workers=1,
        optim_wrapper__accumulative_counts=3,
    )
    code, _, err = ToyProcess(tmp_path / "whole", **settings).end()
    assert code == 0, err
    killed(tmp_path / "killed", "iter_4.pth", **settings)
    code, out, err = ToyProcess(tmp_path / "killed", "--resume", **settings).end()
    assert code == 0, err
    assert "not exactly" not in out + err
    assert_same(state(tmp_path / "killed/iter_12.pth"), state(tmp_path / "whole/iter_12.pth"))
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_another_number_of_processes_is_said(tmp_path: Path) -> None:
    toy(tmp_path, iterations=2).train()
    code, out, err = ToyProcess(tmp_path, "--resume", iterations=4, processes=2).end()
    assert code == 0, err
    assert "not exactly as it would have: processes 1 before and 2 now" in out + err
    assert (tmp_path / "iter_4.pth").exists()


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "text",
        dict(batch="x", sampler_seed=-1, early_stopping=[[1, 2, 3]], processes=None),
        dict(batch=-5, sampler_seed=10**30, validated=1, samples=[]),
    ],
)
def test_what_is_missing_or_damaged_is_said(
    tmp_path: Path, kept: Any, caplog: pytest.LogCaptureFixture
) -> None:
    toy(tmp_path, iterations=2).train()
    checkpoint = load(tmp_path / "iter_2.pth")
    checkpoint["resuming"] = kept
    if kept is None:
        del checkpoint["resuming"]
    torch.save(checkpoint, tmp_path / "iter_2.pth")
    runner = toy(tmp_path, iterations=4, resume=True)
    said = []
    runner.logger.warning = lambda text, *_: said.append(text)
    runner.train()
    assert any("not exactly as it would have" in text for text in said)
    assert (tmp_path / "iter_4.pth").exists()


def test_early_stopping_goes_on(tmp_path: Path) -> None:
    hook = dict(type="EarlyStoppingHook", monitor="score", rule="greater", patience=9)
    settings = dict(VALIDATION, custom_hooks=[hook], train_cfg__val_interval=1)
    toy(tmp_path, iterations=4, **settings).train()
    runner = toy(tmp_path, iterations=6, resume=True, **settings)
    runner.train()
    stopping = next(h for h in runner.hooks if type(h).__name__ == "EarlyStoppingHook")
    assert (stopping.wait_count, stopping.best_score) == (5, 12.0)


def test_evaluating_builds_no_training(tmp_path: Path) -> None:
    toy(tmp_path, iterations=2).train()
    settings = dict(
        test_dataloader=VALIDATION["val_dataloader"],
        test_cfg=dict(type="TestLoop"),
        test_evaluator=VALIDATION["val_evaluator"],
    )
    runner = toy(tmp_path / "test", load_from=str(tmp_path / "iter_2.pth"), **settings)
    assert runner.test()["score"] == 12
    assert isinstance(runner._train_loop, dict)
