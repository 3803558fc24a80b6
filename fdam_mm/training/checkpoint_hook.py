"""mmengine's CheckpointHook, removing old files late, and its own alone."""

import hashlib
import math
import os
import re
from collections.abc import Mapping
from io import BytesIO
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.fileio import FileClient, LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from fdam_mm.checkpoints import load
from fdam_mm.errors import UsageError, WriteError
from fdam_mm.files import sweep, write_atomically

from .checkpoint_record import CheckpointRecord
from .resume_point import POINTER, TEMPLATES, damage, newest_checkpoint, step
from .values import refuse_unknown

_PATHS = re.compile(r"best_ckpt(_.+)?|last_ckpt")  # of the message hub's runtime_info
_SCORES = re.compile(r"best_score(_.+)?")


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Saves as mmengine's does, with these differences:

    - A new checkpoint is written and checked before an older one is removed.
    - Only files are removed that a training wrote to this folder, see :class:`CheckpointRecord`.
      Of a path that a resumed checkpoint holds, the name counts alone.
    - ``last_checkpoint`` and the checkpoints hold names, not paths, so that a run can be moved.
    - ``max_keep_ckpts`` counts the steps up to the present one. What a training that went back to
      an older checkpoint finds ahead of it stays until it is written anew.
    - Published models are read without unpickling.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        takers = (CheckpointHook, Runner.save_checkpoint)  # mmengine's passes the rest on
        refuse_unknown("default_hooks.checkpoint", kwargs, takers)
        super().__init__(*args, **kwargs)
        self._given_dir = self.out_dir

    def folder(self, runner: Runner) -> str:
        """The folder of the checkpoints."""
        if self._given_dir is None or self._given_dir == runner.work_dir:
            return runner.work_dir
        backend = self._backend(str(self._given_dir))
        return backend.join_path(self._given_dir, Path(runner.work_dir).name)

    def before_train(self, runner: Runner) -> None:
        self.out_dir = self.folder(runner)
        self.file_backend = self._backend(self.out_dir)
        self.record = CheckpointRecord(self.out_dir, self.file_backend)
        runner.logger.info(f"Checkpoints will be saved to {self.out_dir}.")
        if self._is_local() and os.path.isdir(self.out_dir) and is_main_process():
            sweep(self.out_dir)
        self._take_over(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        info = checkpoint["message_hub"]["runtime_info"]
        for key in [key for key in info if _PATHS.fullmatch(key)]:
            info[key] = os.path.basename(info[key])

    def _take_over(self, runner: Runner) -> None:
        """Take from a resumed run the best scores, and the best checkpoints that are in reach."""
        info = runner.message_hub.runtime_info
        info.pop("keep_ckpt_ids", None)  # mmengine's; here the record tells
        paths = {key: info.pop(key) for key in list(info) if _PATHS.fullmatch(key)}
        for key in [key for key in info if _SCORES.fullmatch(key) and not _finite(info[key])]:
            runner.logger.warning(f"the checkpoint's {key} is no number and is ignored")
            info.pop(key)
        for key in self.key_indicators if self.save_best else ():
            path = paths.get(self._hub_key("best_ckpt", key))
            name = os.path.basename(path) if isinstance(path, str) else None
            mine = name is not None and name.startswith("best_") and self.record.owns(name)
            self._set_best(runner, key, self.record.path(name) if mine else None)
            if name and not mine:
                runner.logger.info(f"the best checkpoint before, {path}, stays as it is")

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.record.path(name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        self._write(
            runner,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self.args,
        )
        if is_main_process():
            write_atomically(Path(runner.work_dir) / POINTER, name)
            self._remove_steps_before(step)

    def _remove_steps_before(self, last: int) -> None:
        """Leave ``max_keep_ckpts`` checkpoints up to the step ``last``."""
        if self.max_keep_ckpts <= 0:
            return
        steps = {name: step(name, self.filename_tmpl) for name in self.record.names()}
        older = [name for name, number in steps.items() if number is not None and number < last]
        older.sort(key=lambda name: steps[name], reverse=True)
        for name in older[self.max_keep_ckpts - 1 :]:
            self.record.remove(name)

    def _save_best_checkpoint(self, runner: Runner, metrics: Mapping[str, Any]) -> None:
        if not self.save_best:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        before = {key: self._best(key) for key in self.key_indicators}
        improved = [key for key in self.key_indicators if self._improves(runner, key, metrics)]
        now = runner.epoch if self.by_epoch else runner.iter
        for key in improved:
            self._save_best(runner, key, metrics[key], now)
        if improved and self.last_ckpt is not None:  # so that it knows of the best one
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, now, meta)
        for key in improved:
            old = before[key]
            superseded = old and old != self._best(key) and is_main_process()
            if superseded and self.record.remove(os.path.basename(old)):
                runner.logger.info(f"The previous best checkpoint {old} is removed")

    def _improves(self, runner: Runner, key: str, metrics: Mapping[str, Any]) -> bool:
        if key not in metrics:
            raise UsageError(
                f"the checkpoint hook's save_best is {key!r}, expected one of the validation's "
                f"metrics: {', '.join(metrics)}"
            )
        rule = self.rules[self.key_indicators.index(key)]
        worst = self.init_value_map[rule]
        best = runner.message_hub.get_info(self._hub_key("best_score", key), worst)
        return metrics[key] is not None and self.is_better_than[key](metrics[key], best)

    def _save_best(self, runner: Runner, key: str, score: float, now: int) -> None:
        name = f"best_{key}_{self.filename_tmpl.format(now)}".replace("/", "_")
        runner.message_hub.update_info(self._hub_key("best_score", key), score)
        self._set_best(runner, key, self.record.path(name))
        self._write(
            runner,
            name,
            save_optimizer=False,
            save_param_scheduler=False,
            meta=dict(epoch=runner.epoch, iter=runner.iter),
            by_epoch=False,
        )
        unit = "epoch" if self.by_epoch else "iter"
        runner.logger.info(
            f"The best checkpoint with {score:0.4f} {key} at {now} {unit} is saved to {name}."
        )

    def _write(self, runner: Runner, name: str, **settings: Any) -> None:
        """Write a checkpoint and see that it is there."""
        if is_main_process():
            self.record.add(name)
        runner.save_checkpoint(
            self.out_dir,
            name,
            file_client_args=self.file_client_args,
            backend_args=self.backend_args,
            **settings,
        )
        if is_main_process() and self._is_local():
            path = self.record.path(name)
            if os.path.isdir(path):  # DeepSpeed's, and FSDP's of a part for each process
                self.record.add(f"{name}/")
                return
            problem = damage(path, contents=False)
            if problem:
                raise WriteError(
                    f"{path} was written and {problem}; is the disk full or failing? Older "
                    "checkpoints are as they were"
                )

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        """Save what of a checkpoint ``published_keys`` name, under a name with its checksum."""
        if ckpt_path is None:  # no validation gave that metric
            return
        checkpoint = load(ckpt_path, allow_pickle=runner.cfg.get("allow_pickle", False))
        buffer = BytesIO()
        torch.save({k: v for k, v in checkpoint.items() if k in self.published_keys}, buffer)
        data = buffer.getvalue()
        target = f"{os.path.splitext(ckpt_path)[0]}-{hashlib.sha256(data).hexdigest()[:8]}.pth"
        self.file_backend.put(data, target)
        runner.logger.info(f"The checkpoint {ckpt_path} is published to {target}.")

    def _hub_key(self, kind: str, key: str) -> str:
        """Where mmengine keeps something about the metric ``key``."""
        return kind if len(self.key_indicators) == 1 else f"{kind}_{key}"

    def _best(self, key: str) -> str | None:
        if len(self.key_indicators) == 1:
            return self.best_ckpt_path
        return self.best_ckpt_path_dict[key]

    def _set_best(self, runner: Runner, key: str, path: str | None) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path
        if path is not None:
            runner.message_hub.update_info(self._hub_key("best_ckpt", key), path)

    def _backend(self, folder: str) -> Any:
        if self.file_client_args is not None:
            return FileClient.infer_client(self.file_client_args, folder)
        return get_file_backend(folder, backend_args=self.backend_args)

    def _is_local(self) -> bool:
        backend = getattr(self.file_backend, "client", self.file_backend)  # a FileClient's
        return isinstance(backend, LocalBackend)


def newest_of(runner: Any, folders: bool = False) -> str | None:
    """The checkpoint to go on with of all that a runner's trainings left: the first process's.

    Args:
        runner: mmengine's, with its hooks.
        folders: See :func:`newest_checkpoint`.
    """
    found = [None]
    if is_main_process():
        hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
        folder = hooks[0].folder(runner) if hooks else runner.work_dir
        template = [hook.filename_tmpl for hook in hooks] or [TEMPLATES[0]]
        say = runner.logger.warning
        newest = newest_checkpoint(runner.work_dir, folder, say, template[0], folders)
        found = [None if newest is None else str(newest)]
    broadcast_object_list(found)
    return found[0]


def safe_checkpoints(hook: Hook | dict[str, Any]) -> Hook | dict[str, Any]:
    """A hook or its settings, with ours in the place of mmengine's CheckpointHook."""
    if type(hook) is CheckpointHook:
        safe = SafeCheckpointHook.__new__(SafeCheckpointHook)
        safe.__dict__.update(hook.__dict__, _given_dir=hook.out_dir)
        return safe
    if not isinstance(hook, dict):
        return hook
    kind = hook.get("type")
    kind = HOOKS.get(kind) if isinstance(kind, str) else kind
    return {**hook, "type": SafeCheckpointHook} if kind is CheckpointHook else hook


def _finite(score: Any) -> bool:
    if isinstance(score, torch.Tensor) and score.numel() == 1:
        score = score.item()
    return isinstance(score, Real) and math.isfinite(score)
