"""Saving, rotating and removing checkpoints."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.toy import toy_runner

from fdam_mm.checkpoints import load
from fdam_mm.errors import ConfigError, UsageError, WriteError
from fdam_mm.training.checkpoint_hook import SafeCheckpointHook

BEST = dict(save_best="acc", rule="greater")


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("*.pth")}


def rewrite(file: Path, change: Callable[[dict], None]) -> None:
    """Change the message hub's runtime_info of a checkpoint, as another's file could hold it."""
    checkpoint = load(file)
    change(checkpoint["message_hub"]["runtime_info"])
    for key in checkpoint["message_hub"]["runtime_info"]:
        checkpoint["message_hub"]["resumed_keys"][key] = True
    torch.save(checkpoint, file)


def test_serves_every_way_to_name_the_hook(tmp_path: Path) -> None:
    runner = toy_runner(tmp_path)
    kinds = [type(hook) for hook in runner.hooks if hasattr(hook, "save_last")]
    assert kinds == [SafeCheckpointHook]
    from mmengine.hooks import CheckpointHook

    for kind in ("mmengine.CheckpointHook", CheckpointHook):
        runner.register_hook(dict(type=kind, priority="LOW"))
        assert sum(isinstance(hook, SafeCheckpointHook) for hook in runner.hooks) >= 2
    runner.register_hook(CheckpointHook(interval=2, by_epoch=False, max_keep_ckpts=1))
    assert [hook.interval for hook in runner.hooks if type(hook) is SafeCheckpointHook][-1] == 2
    assert not any(type(hook) is CheckpointHook for hook in runner.hooks)
    runner.train()


def test_an_unknown_setting_is_refused() -> None:
    """mmengine passes it on to the first save, which fails."""
    assert SafeCheckpointHook(interval=2, save_optimizer=False)
    with pytest.raises(ConfigError, match=r"checkpoint\.save_bst is read .* mean save_best\?"):
        SafeCheckpointHook(save_bst="acc")


def test_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    runner = toy_runner(tmp_path, 5, [1, 3, 2, 4, 0], dict(max_keep_ckpts=2, **BEST))
    runner.train()
    assert names(tmp_path) == {"iter_4.pth", "iter_5.pth", "best_acc_iter_4.pth"}
    assert (tmp_path / "last_checkpoint").read_text() == "iter_5.pth"
    info = load(tmp_path / "iter_5.pth")["message_hub"]["runtime_info"]
    assert info["best_ckpt"] == "best_acc_iter_4.pth" and info["last_ckpt"] == "iter_5.pth"


def test_rotation_goes_on_after_resuming(tmp_path: Path) -> None:
    hook = dict(max_keep_ckpts=2, **BEST)
    toy_runner(tmp_path, 3, [1, 3, 2], hook).train()
    toy_runner(tmp_path, 6, [1, 5, 2], hook, resume=True).train()
    assert names(tmp_path) == {"iter_5.pth", "iter_6.pth", "best_acc_iter_5.pth"}


def test_several_metrics(tmp_path: Path) -> None:
    hook = dict(save_best=["acc", "other"], rule="greater", max_keep_ckpts=1)
    toy_runner(tmp_path, 3, [1, 3, 2], hook).train()
    toy_runner(tmp_path, 5, [4, 0], hook, resume=True).train()
    assert names(tmp_path) == {"iter_5.pth", "best_acc_iter_4.pth", "best_other_iter_5.pth"}


def test_going_back_leaves_later_checkpoints_until_they_are_written_anew(tmp_path: Path) -> None:
    toy_runner(tmp_path, 6, hook=dict(max_keep_ckpts=4)).train()
    settings = dict(resume=True, load_from=str(tmp_path / "iter_3.pth"))
    toy_runner(tmp_path, 4, hook=dict(max_keep_ckpts=2), **settings).train()
    assert names(tmp_path) == {"iter_3.pth", "iter_4.pth", "iter_5.pth", "iter_6.pth"}
    assert (tmp_path / "last_checkpoint").read_text() == "iter_4.pth"


class TestPathsInCheckpoints:
    """They are data: what they name outside of what this folder's trainings wrote stays."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        toy_runner(tmp_path / "run", 2, [1, 2], BEST).train()
        return tmp_path / "run"

    def resume(self, run: Path, **hook: object) -> None:
        toy_runner(run, 4, [3, 4], {**BEST, **hook}, resume=True).train()

    def test_a_file_outside(self, run: Path, tmp_path: Path) -> None:
        for victim in (tmp_path / "thesis.pth", tmp_path / "best_acc_iter_2.pth"):
            victim.write_text("precious")
            rewrite(run / "iter_2.pth", lambda info, v=victim: info.update(best_ckpt=str(v)))
            self.resume(run)
            assert victim.read_text() == "precious"

    @pytest.mark.parametrize("name", ["notes.pth", "best_acc_iter_1.pth", "iter_1.pth", "."])
    def test_a_file_inside_that_no_training_wrote(self, run: Path, name: str) -> None:
        if name != "." and not (run / name).exists():
            (run / name).write_text("precious")
        before = {f.name: f.read_bytes() for f in run.iterdir() if f.is_file()}
        rewrite(run / "iter_2.pth", lambda info: info.update(best_ckpt=str(run / name)))
        self.resume(run)
        if name != ".":
            assert (run / name).read_bytes() == before[name]

    def test_folders(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "album").mkdir()
        (run / "best_acc_iter_1.pth").mkdir()
        for folder in (tmp_path / "album", run / "best_acc_iter_1.pth"):
            rewrite(run / "iter_2.pth", lambda info, f=folder: info.update(best_ckpt=str(f)))
            self.resume(run)
            assert folder.is_dir()

    def test_a_link_in_place_of_our_file(self, run: Path, tmp_path: Path) -> None:
        (run / "best_acc_iter_2.pth").unlink()
        (tmp_path / "other.pth").write_text("precious")
        (run / "best_acc_iter_2.pth").symlink_to(tmp_path / "other.pth")
        self.resume(run)
        assert (tmp_path / "other.pth").read_text() == "precious"
        assert (run / "best_acc_iter_2.pth").is_symlink()

    def test_numbers_of_kept_steps(self, run: Path, tmp_path: Path) -> None:
        (tmp_path / "iter_9.pth").write_text("precious")
        (run / "iter_0.pth").write_text("by hand")
        ids = ["../../iter_9", str(tmp_path / "iter_9"), 0, "x"]
        rewrite(run / "iter_2.pth", lambda info: info.update(keep_ckpt_ids=ids))
        self.resume(run, max_keep_ckpts=1)
        assert (tmp_path / "iter_9.pth").exists() and (run / "iter_0.pth").exists()
        assert names(run) == {"iter_0.pth", "iter_4.pth", "best_acc_iter_4.pth"}

    def test_values_of_other_types(self, run: Path) -> None:
        for best_ckpt, best_score in ((7, "high"), (["x"], float("nan")), (None, [1])):
            values = dict(best_ckpt=best_ckpt, best_score=best_score, last_ckpt=3)
            rewrite(run / "iter_2.pth", lambda info, v=values: info.update(v))
            self.resume(run)
        assert "best_acc_iter_4.pth" in names(run)

    def test_published_models_are_not_read_from_there(self, run: Path, tmp_path: Path) -> None:
        torch.save(dict(state_dict={}, secret=1), tmp_path / "best_x.pth")
        rewrite(
            run / "iter_2.pth",
            lambda info: info.update(best_ckpt=str(tmp_path / "best_x.pth"), best_score=99.0),
        )
        self.resume(run, published_keys=["meta", "state_dict"])
        assert names(tmp_path) == {"best_x.pth"}
        (published,) = run.glob("iter_4-*.pth")
        assert set(load(published)) == {"meta", "state_dict"}

    def test_another_run_keeps_its_files(self, run: Path, tmp_path: Path) -> None:
        before = names(run)
        settings = dict(resume=True, load_from=str(run / "iter_2.pth"))
        toy_runner(tmp_path / "next", 4, [3, 4], BEST, **settings).train()
        assert names(run) == before
        assert names(tmp_path / "next") == {"iter_3.pth", "iter_4.pth", "best_acc_iter_4.pth"}

    def test_a_copied_run_removes_its_own(self, run: Path, tmp_path: Path) -> None:
        shutil.copytree(run, tmp_path / "copy")
        before = names(run)
        self.resume(tmp_path / "copy")
        assert names(run) == before
        assert "best_acc_iter_2.pth" not in names(tmp_path / "copy")

    @pytest.mark.parametrize("text", ["", "[1, 2", '{"a": 1}', "[" * 100_000])
    def test_without_a_record_nothing_is_removed(self, run: Path, text: str) -> None:
        (run / ".checkpoints.json").write_text(text)
        before = names(run)
        self.resume(run, max_keep_ckpts=1)
        assert before < names(run)


class TestFullDisk:
    """The old checkpoint stays until the new one stands."""

    @pytest.fixture
    def fills_at(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        replace = os.replace

        def fill(name: str) -> None:
            def failing(source: str, target: str) -> None:
                if Path(target).name == name:
                    raise OSError(errno.ENOSPC, "No space left on device")
                replace(source, target)

            monkeypatch.setattr(os, "replace", failing)

        return fill

    def test_the_last(self, tmp_path: Path, fills_at: Callable[[str], None]) -> None:
        fills_at("iter_3.pth")
        with pytest.raises(WriteError, match=r"iter_3.pth: No space left on device; [\d.]+ MiB"):
            toy_runner(tmp_path, 4, hook=dict(max_keep_ckpts=1)).train()
        assert names(tmp_path) == {"iter_2.pth"}
        assert (tmp_path / "last_checkpoint").read_text() == "iter_2.pth"
        assert not list(tmp_path.glob(".*.tmp"))

    def test_the_best(self, tmp_path: Path, fills_at: Callable[[str], None]) -> None:
        fills_at("best_acc_iter_2.pth")
        with pytest.raises(WriteError, match="best_acc_iter_2.pth"):
            toy_runner(tmp_path, 4, [1, 2], dict(max_keep_ckpts=1, **BEST)).train()
        assert names(tmp_path) == {"iter_2.pth", "best_acc_iter_1.pth"}

    def test_half_a_file_without_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that loses what it took."""
        replace = os.replace

        def losing(source: str, target: str) -> None:
            if Path(target).name == "iter_3.pth":
                os.truncate(source, 100)
            replace(source, target)

        monkeypatch.setattr(os, "replace", losing)
        with pytest.raises(WriteError, match="iter_3.pth was written and is truncated"):
            toy_runner(tmp_path, 4, hook=dict(max_keep_ckpts=1)).train()
        assert "iter_2.pth" in names(tmp_path)
        assert (tmp_path / "last_checkpoint").read_text() == "iter_2.pth"


def test_unknown_metric_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="save_best is 'mAcc'.* acc, other"):
        toy_runner(tmp_path, 1, hook=dict(save_best="mAcc")).train()


def test_checkpoints_in_another_folder(tmp_path: Path) -> None:
    hook = dict(out_dir=str(tmp_path / "store"), max_keep_ckpts=1, **BEST)
    toy_runner(tmp_path / "run", 2, [1, 2], hook).train()
    toy_runner(tmp_path / "run", 3, [3], hook, resume=True).train()
    assert names(tmp_path / "store/run") == {"iter_3.pth", "best_acc_iter_3.pth"}
    assert not names(tmp_path / "run")
