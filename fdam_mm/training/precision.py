"""Mixed precision for the tools' ``--amp``."""

from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from fdam_mm.errors import UsageError


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
        UsageError: The config's optimizer wrapper is another than mmengine's plain one.
    """
    wrapper = config.optim_wrapper
    kind = wrapper.get("type", "OptimWrapper")
    if kind in ("AmpOptimWrapper", "BFloat16OptimWrapper"):
        return
    if kind != "OptimWrapper":
        raise UsageError(
            f"--amp takes an optim_wrapper of type OptimWrapper, the config has {kind}"
        )
    if torch.cuda.is_available():
        wrapper.type = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")
    else:
        wrapper.type = "BFloat16OptimWrapper"
