"""Mixed precision for the tools' ``--amp``."""

from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from fdam_mm.errors import UsageError
from fdam_mm.toolkits.types import class_of


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward under bf16 autocast, without loss scaling; mmengine's own needs a GPU."""

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def enable_amp(config: Config) -> None:
    """Train in fp16 with dynamic loss scaling, or in bf16 on a machine without CUDA.

    Raises:
        UsageError: The config's optimizer wrapper is another than mmengine's plain one, or it has
            none.
    """
    wrapper = config.get("optim_wrapper")
    if not wrapper:
        raise UsageError("--amp takes an optim_wrapper, and the config has none")
    kind = wrapper.get("type", OptimWrapper)
    found = class_of(kind, OPTIM_WRAPPERS, config.get("default_scope"))
    if found in (AmpOptimWrapper, BFloat16OptimWrapper):
        return
    if found is not OptimWrapper:
        raise UsageError(
            f"--amp takes an optim_wrapper of type OptimWrapper, the config has {kind}"
        )
    if torch.cuda.is_available():
        wrapper.type = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")
    else:
        wrapper.type = "BFloat16OptimWrapper"
