"""A training that was killed goes on as if it had not been."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import BatchSampler

from fdam_mm.toolkits.patches.train_loops import EndlessBatches, begin_anywhere

from .finite import optim_wrappers
from .learning_rate import batch_size, follow_batch, scaled_batches
from .randomness import ITERATION, VALIDATION, SeededBatches, reseed, seed_samples, seeded_sampler

_KEY = "resuming"  # of what a checkpoint holds for this
_KINDS = dict(
    processes=int,
    batch_size=int,
    samples=int,
    torch=str,
    batch=int,
    passes=int,
    samples_done=int,
    lr_batches=list,
    validated=bool,
    sampler_seed=int,
    early_stopping=list,
)


@HOOKS.register_module()
class ResumingHook(Hook):
    """Let ``--resume`` repeat the uninterrupted training; every :class:`FDAMRunner` has one.

    - All randomness is a function of the seed and of the place in the training, see
      :mod:`fdam_mm.training.randomness`. Checkpoints keep the seeds that were drawn.
    - An epoch goes on where it was left, and so does a pass over the data in an iteration-based
      training: by its samples, so that another number of processes or another batch goes on in
      the same order.
    - The count of an ``EarlyStoppingHook`` goes on.
    - All processes validate the first one's buffers, which are those that are saved.

    Where a checkpoint lacks this, or the number of processes is another, the log says so.
    """

    priority = "HIGHEST"

    def __init__(self) -> None:
        self._seed = 0
        self._batch = 0  # of this epoch, those that are done
        self._validated = -1  # iterations before the last validation
        self._resumed: dict[str, Any] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if runner._resume:
            self._resumed = _read(checkpoint)

    def before_train(self, runner: Runner) -> None:
        self._seed = _base_seed(runner)
        batches = seed_samples(runner.train_dataloader, self._seed)
        if batches is not None:
            begin_anywhere(runner.train_loop, batches, seeded_sampler(runner.train_dataloader))
        if self._resumed is not None:
            self._go_on(runner, batches, self._resumed)

    def _go_on(self, runner: Runner, batches: SeededBatches | None, state: dict[str, Any]) -> None:
        differences = _differences(runner, state)
        if differences:
            runner.logger.warning(
                f"the resumed training goes on, not exactly as it would have: {differences}"
            )
        sampler = seeded_sampler(runner.train_dataloader)
        if hasattr(sampler, "seed"):  # drawn anew where the config has none
            same = sampler.seed if _seeds_differ(runner) else self._seed
            sampler.seed = state.get("sampler_seed", same)
        follow_batch(runner, state.get("lr_batches", []))
        if batches is not None:
            self._begin(runner, batches, state)
        for hook, kept in zip(_stopping(runner), state.get("early_stopping", ()), strict=False):
            hook.wait_count, hook.best_score = kept

    def _begin(self, runner: Runner, batches: SeededBatches, state: dict[str, Any]) -> None:
        """Leave out of this pass what the interrupted training had of it."""
        loop, step = runner.train_loop, _step(runner)
        done = state.get("samples_done", state.get("batch", 0) * step)  # earlier versions' batch
        if isinstance(loop, EpochBasedTrainLoop):
            batches.begun = self._batch = done // step
        elif not isinstance(loop.dataloader_iterator, EndlessBatches):
            return  # a loop of another kind
        elif "samples_done" in state and not loop.fast_forward_on_resume:
            loop.dataloader_iterator.begin(state.get("passes", 0), done // step)
        before = [state.get("processes"), state.get("batch_size")]
        if before != [get_world_size(), batch_size(runner.train_dataloader)]:
            runner.logger.info(_place(runner, batches, done, before))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._batch = batch_idx + 1
        reseed(self._seed, ITERATION, runner.iter, get_rank())

    def after_train_epoch(self, runner: Runner) -> None:
        self._batch = 0

    def before_val_epoch(self, runner: Runner) -> None:
        seed = _base_seed(runner)
        seed_samples(runner.val_dataloader, seed)
        reseed(seed, VALIDATION, get_rank())
        if get_world_size() > 1:
            _share_buffers(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self._validated = runner.iter

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        loop, batches = runner.train_loop, self._batch
        endless = getattr(loop, "dataloader_iterator", None)
        if isinstance(endless, EndlessBatches):
            batches = endless.done
        checkpoint[_KEY] = dict(
            _circumstances(runner),
            batch=self._batch,
            passes=getattr(runner.train_dataloader.batch_sampler, "epoch", 0),
            samples_done=batches * _step(runner),
            lr_batches=scaled_batches(runner),
            validated=self._validated == checkpoint["meta"]["iter"],
            early_stopping=[[h.wait_count, float(h.best_score)] for h in _stopping(runner)],
        )
        sampler = seeded_sampler(runner.train_dataloader)
        if hasattr(sampler, "seed"):
            checkpoint[_KEY]["sampler_seed"] = int(sampler.seed)


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Make up for a validation that was due when the training was killed.

    A checkpoint that was saved before its iteration's validation is saved anew after it: then
    that is done, and what hooks and schedulers made of its metrics is kept.
    """

    priority = "LOWEST"  # the hooks that take part in it are ready, and through with it

    def __init__(self) -> None:
        self._missed = False
        self._best: dict[str, Any] = {}

    def before_val_epoch(self, runner: Runner) -> None:
        self._best = _best_scores(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if _best_scores(runner) != self._best and not _stopping(runner):
            return  # the CheckpointHook has done it
        for hook in runner.hooks if optim_wrappers(runner) else ():
            if isinstance(hook, CheckpointHook):
                now = runner.epoch if hook.by_epoch else runner.iter
                if Path(hook.last_ckpt or "").name == hook.filename_tmpl.format(now):
                    meta = dict(epoch=runner.epoch, iter=runner.iter)
                    hook._save_checkpoint_with_step(runner, now, meta)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if not runner._resume:
            return
        state = _read(checkpoint)
        in_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop) and state.get("batch")
        self._missed = not state.get("validated", True) and not in_epoch

    def before_train(self, runner: Runner) -> None:
        if self._missed and runner._val_loop is not None and _validation_is_due(runner):
            runner.logger.info("the validation that the interruption prevented:")
            runner.val_loop.run()


def _validation_is_due(runner: Runner) -> bool:
    """What mmengine's loops ask after each iteration or epoch."""
    loop = runner.train_loop
    if isinstance(loop, EpochBasedTrainLoop):
        done, last = loop.epoch, loop.max_epochs
    elif isinstance(loop, IterBasedTrainLoop):
        done, last = loop.iter, loop.max_iters
    else:
        return False
    loop._decide_current_val_interval()
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)


def _read(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds for resuming, as far as it is what it should be."""
    state = checkpoint.get(_KEY)
    if not isinstance(state, Mapping):
        return {}
    state = {key: state[key] for key, kind in _KINDS.items() if isinstance(state.get(key), kind)}
    for key in ("batch", "sampler_seed", "passes", "samples_done"):
        if not 0 <= state.get(key, 0) < 2**32:
            del state[key]
    if not all(type(batch) is int and batch > 0 for batch in state.get("lr_batches", [])):
        del state["lr_batches"]
    pairs = state.get("early_stopping", [])
    if not all(isinstance(p, list) and list(map(type, p)) == [int, float] for p in pairs):
        del state["early_stopping"]
    return state


def _differences(runner: Runner, state: Mapping[str, Any]) -> str:
    """Why a resumed training is not exactly the uninterrupted one; empty if it is."""
    if not state:
        return "the checkpoint is of an earlier version or of mmengine's own runner"
    now = _circumstances(runner)
    changed = [key for key in now if state.get(key) != now[key]]
    return ", ".join(
        f"{k.replace('_', ' ')} {state.get(k)} before and {now[k]} now" for k in changed
    )


def _circumstances(runner: Runner) -> dict[str, Any]:
    """What the order of the samples and the numbers depend on."""
    dataloader = runner.train_dataloader
    return dict(
        processes=get_world_size(),
        batch_size=batch_size(dataloader),
        samples=len(dataloader.dataset) if hasattr(dataloader.dataset, "__len__") else 0,
        torch=str(torch.__version__),
    )


def _step(runner: Runner) -> int:
    """Samples of an iteration, of all processes."""
    return get_world_size() * batch_size(runner.train_dataloader)


def _place(runner: Runner, batches: SeededBatches, done: int, before: list[int | None]) -> str:
    """Where a training with another step than before goes on."""
    (old, old_size), size = before, batch_size(runner.train_dataloader)
    text = (
        f"{get_world_size()} processes with batches of {size} go on where {old} with batches of "
        f"{old_size} were, after {done} samples of this pass"
    )
    if done % _step(runner):
        text += f"; the last {done % _step(runner)} of them are seen again"
    if type(batches.batches) is not BatchSampler:
        kind = type(batches.batches).__name__
        text += f"; in which order they come is up to each process's {kind}"
    if not scaled_batches(runner):
        text += "; the learning rate stays as it is (--auto-scale-lr)"
    return text


def _seeds_differ(runner: Runner) -> bool:
    return runner._randomness_cfg.get("diff_rank_seed", False)


def _base_seed(runner: Runner) -> int:
    """The seed that all processes share."""
    return runner.seed - get_rank() if _seeds_differ(runner) else runner.seed


def _best_scores(runner: Runner) -> dict[str, Any]:
    info = runner.message_hub.runtime_info
    return {key: value for key, value in info.items() if key.startswith("best_score")}


def _stopping(runner: Runner) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _share_buffers(runner: Runner) -> None:
    """Statistics of BN are each process's own; what is validated should be what is saved."""
    models = [runner.model]
    models += [h.ema_model for h in runner.hooks if isinstance(h, EMAHook)]
    for buffer in (buffer for model in models for buffer in model.buffers()):
        if buffer.is_floating_point():
            value = buffer.double()
            broadcast(value)
            buffer.copy_(value)
