"""The learning rates of EoMT: new parts warm up first, the pretrained model after them."""

from typing import Any

from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from torch.optim import Optimizer


@PARAM_SCHEDULERS.register_module()
class TwoStageWarmupPolyLR(_ParamScheduler):
    """A linear warm-up in two stages, then ``(1 - progress) ** power`` (arXiv 2503.19108).

    Groups that :class:`FDAMOptimWrapperConstructor` did not mark as ``pretrained`` warm up for
    ``warmup[0]`` iterations, while the others stand still; these follow for ``warmup[1]``
    iterations. After its warm-up each falls to 0 at ``end``.

    Args:
        optimizer: Or its wrapper.
        warmup: Iterations of the two stages.
        power: Of the decline.
        end: Iterations in all.
        **settings: ``last_step`` and ``verbose`` as every scheduler of mmengine has them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        end: int,
        warmup: tuple[int, int] = (500, 1000),
        power: float = 0.9,
        by_epoch: bool = False,
        **settings: Any,
    ) -> None:
        self.warmup, self.power, self.total = tuple(warmup), power, end
        super().__init__(optimizer, "lr", end=end, by_epoch=by_epoch, **settings)

    def _get_value(self) -> list[float]:
        groups = self.optimizer.param_groups
        return [
            base * self._factor(bool(group.get("pretrained")))
            for base, group in zip(self.base_values, groups, strict=True)
        ]

    def _factor(self, pretrained: bool) -> float:
        start = self.warmup[0] if pretrained else 0
        length = self.warmup[int(pretrained)]
        step = self.last_step - start
        if step < length:
            return max(step, 0) / length
        left = max(self.total - start - length, 1)
        return max(1 - (step - length) / left, 0.0) ** self.power
