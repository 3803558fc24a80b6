"""Gradients that are accumulated and not a step yet, in checkpoints."""

from typing import Any

from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from .finite import optim_wrappers
from .sharding import own_part
from .unwrapping import bare_model

_KEY = "waiting_gradients"  # in a checkpoint


@HOOKS.register_module()
class WaitingGradientsHook(Hook):
    """Save and restore gradients between two steps (``optim_wrapper.accumulative_counts``)."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._runner: Runner | None = None

    def state_dict(self) -> dict[str, Tensor]:
        """The gradients that wait, by their parameters' names."""
        waiting = {} if self._runner is None else _waiting(self._runner)
        return {name: p.grad.detach() for name, p in waiting.items()}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        waiting = self.state_dict()
        if waiting and "optimizer" in checkpoint:
            checkpoint[_KEY] = {name: gradient.cpu() for name, gradient in waiting.items()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint.get(_KEY)
        self._kept = kept if runner._resume and isinstance(kept, dict) else {}

    def before_train(self, runner: Runner) -> None:
        self._runner = runner
        parameters = _parameters(runner)
        for name, grad in self._kept.items():
            param = parameters.get(name)
            if param is None or not isinstance(grad, Tensor) or grad.shape != param.shape:
                runner.logger.warning(f"the waiting gradients do not fit the model: {name}")
                return
        for name, grad in self._kept.items():
            grad = grad.to(parameters[name].device, parameters[name].dtype)
            parameters[name].grad = own_part(grad, parameters[name])
        if self._kept:
            runner.logger.info("the accumulated gradients are those of the checkpoint")
        self._kept = {}


def share_waiting_gradients(runner: Runner) -> None:
    """Give all processes the mean of what each has accumulated, so that one file holds it.

    Their sum after the next step is the same. All processes have to call it. Gradients that are
    shared out (:mod:`.sharding`) are means already.
    """
    if get_world_size() == 1 or not _between_steps(runner):
        return
    parameters = _parameters(runner)
    if any(isinstance(parameter, DTensor) for parameter in parameters.values()):
        return
    names = {name for names in all_gather_object(list(_waiting(runner))) for name in names}
    for name in sorted(names):
        param = parameters[name]
        if param.grad is None:
            param.grad = param.new_zeros(param.shape)
        all_reduce(param.grad, op="mean")


def _waiting(runner: Runner) -> dict[str, nn.Parameter]:
    if not _between_steps(runner):
        return {}
    return {name: p for name, p in _parameters(runner).items() if p.grad is not None}


def _between_steps(runner: Runner) -> bool:
    return not all(wrapper.should_update() for wrapper in optim_wrappers(runner))


def _parameters(runner: Runner) -> dict[str, nn.Parameter]:
    model = bare_model(runner.model)
    return dict(model.named_parameters())
