"""Training hooks."""

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class MeanLossHook(Hook):
    """Average each iteration's logged losses over the processes, before anything logs them.

    mmengine logs those of the first process alone; the mean is what the whole batch had.
    """

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        if get_world_size() == 1 or not outputs:
            return
        names = [k for k, v in outputs.items() if isinstance(v, torch.Tensor) and v.numel() == 1]
        values = torch.stack([outputs[k].detach().float().reshape(()) for k in names])
        all_reduce(values, op="mean")
        outputs.update(zip(names, values, strict=True))
