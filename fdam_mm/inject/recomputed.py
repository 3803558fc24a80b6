"""Blocks of transformers whose forward alone is run again by activation checkpointing.

transformers checkpoints the forward of a layer, within the hooks of the layer. A forward that runs
again in a backward pass is in no call of the layer then, and opens one.
"""

import functools
from typing import Any

from torch import nn

from .hooks import FreqScaleHooks
from .rewritten import subclass

_LAYER = "transformers.modeling_layers", "GradientCheckpointingLayer"


def is_checkpointed_by_forward(kind: type[nn.Module]) -> bool:
    """Whether transformers may run the forwards of this class again."""
    return any((base.__module__, base.__qualname__) == _LAYER for base in kind.__mro__)


@functools.cache
def recomputable(base: type[nn.Module]) -> type[nn.Module]:
    """The subclass of ``base``, by the same name, whose forward may run outside of a call."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not (self.gradient_checkpointing and self.training):
            return base.forward(self, *args, **kwargs)
        hooks = next(
            hook.__self__
            for hook in self._forward_pre_hooks.values()
            if isinstance(getattr(hook, "__self__", None), FreqScaleHooks)
        )
        if hooks.calls.stack:
            return base.forward(self, *args, **kwargs)
        hooks.enter(self, args, kwargs)
        try:
            return base.forward(self, *args, **kwargs)
        finally:
            hooks.leave(self, args, kwargs, None)

    return subclass(base, functools.wraps(base.forward)(forward), recomputable, (base,))
