"""The model itself, out of what runners and tools wrap around it."""

from mmengine.model import BaseAveragedModel, BaseTTAModel, is_model_wrapper
from torch import nn
from torch.optim.swa_utils import AveragedModel

_WRAPPERS = (
    BaseTTAModel,
    BaseAveragedModel,
    AveragedModel,
    nn.DataParallel,
    nn.parallel.DistributedDataParallel,
)


def bare_model(model: nn.Module) -> nn.Module:
    """The segmentor or detector inside ``model``: the one whose keys a checkpoint has.

    Wrappers are those for several processes, for test-time augmentation and for averages of the
    weights, and what ``torch.compile`` returns, in any order.
    """
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def _inside(model: nn.Module) -> nn.Module | None:
    """What is directly inside a wrapper, None where ``model`` is none."""
    if is_model_wrapper(model) or isinstance(model, _WRAPPERS):
        return model.module
    return getattr(model, "_orig_mod", None)  # torch.compile's
