"""The runner of trainings whose weights, gradients and optimizer are shared out (FSDP2)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook
from mmengine.model import (
    BaseDataPreprocessor,
    convert_sync_batchnorm,
    revert_sync_batchnorm,
)
from mmengine.registry import RUNNERS
from torch import nn

from fdam_mm.errors import ConfigError

from .config_errors import config_errors
from .finite import optim_wrappers
from .runner import FDAMRunner
from .sharding import gathered, shard, shard_optimizer
from .waiting_gradients import WaitingGradientsHook


@RUNNERS.register_module()
class FDAMShardedRunner(FDAMRunner):
    """:class:`FDAMRunner` with torch's ``fully_shard`` in the place of DDP.

    The config's ``sharding`` has the arguments of :func:`fdam_mm.training.sharding.shard`.

    - The model is initialized, and a checkpoint read, on the CPU; then a process takes its part.
    - Checkpoints hold whole tensors, as those of DDP: they resume under this runner or DDP, on any
      number of processes, and every tool reads them.
    - Averages of the weights (EMA) are shared out too.
    - Gradients are summed up over the processes in every iteration, also where they accumulate.
    - On one process, and to validate or test alone, it does what :class:`FDAMRunner` does.
    """

    _parts: bool = False

    def wrap_model(
        self, model_wrapper_cfg: Mapping[str, Any] | None, model: nn.Module
    ) -> nn.Module:
        if not self.distributed:
            return super().wrap_model(model_wrapper_cfg, model)
        if model_wrapper_cfg is not None:
            raise ConfigError("model_wrapper_cfg is for DDP; FDAMShardedRunner reads sharding")
        if not torch.cuda.is_available():
            return revert_sync_batchnorm(model)
        kind = self.cfg.get("sync_bn")
        return model if kind is None else convert_sync_batchnorm(model, kind)

    def load_or_resume(self) -> None:
        super().load_or_resume()
        if not self.distributed or self._parts:
            return
        if optim_wrappers(self):
            self._share_out()
        else:  # nothing is trained
            self.model.to(get_device())

    def _share_out(self) -> None:
        settings = dict(self.cfg.get("sharding") or {})
        with config_errors("the config's sharding", self.cfg):
            before = dict(self.model.named_parameters())
            blocks = shard(self.model, **settings)
        for wrapper in optim_wrappers(self):
            shard_optimizer(wrapper.optimizer, before, self.model)
        for hook in self._averages():
            shard(hook.ema_model.module, **settings)
            kept = hook.ema_model
            kept.avg_parameters = (
                kept.module.state_dict()
                if kept.update_buffers
                else dict(kept.module.named_parameters())
            )
        for module in self.model.modules():
            if isinstance(module, BaseDataPreprocessor):
                module.to(get_device())  # it notes where it is
        self._parts = True
        self.logger.info(
            f"shared out over {self.world_size} processes, gathered by block: {', '.join(blocks)}"
        )

    def _averages(self) -> list[EMAHook]:
        return [hook for hook in self.hooks if isinstance(hook, EMAHook)]

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        if not self._parts:
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        holders: list[Any] = [self.model, *(hook.ema_model for hook in self._averages())]
        if kwargs.get("save_optimizer", True):
            holders.append(self.optim_wrapper)
            holders += [hook for hook in self.hooks if isinstance(hook, WaitingGradientsHook)]
        with _whole(holders):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)


@contextmanager
def _whole(holders: list[Any]) -> Iterator[None]:
    """Let the ``state_dict`` of some objects give whole tensors, on the first process alone.

    All processes gather them here, for the one that asks for them to write them.
    """
    states = []
    for holder in holders:
        state = gathered(holder.state_dict())
        states.append(state if is_main_process() else {})
    try:
        for holder, state in zip(holders, states, strict=True):
            holder.state_dict = _giving(state)
        yield
    finally:
        for holder in holders:
            del holder.state_dict


def _giving(state: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    return lambda *_, **__: state
