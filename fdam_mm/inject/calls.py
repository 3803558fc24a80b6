"""What belongs to one call of a module, and to nobody else.

Several threads may run one model at a time, a module may be called within its own call, and a call
may end by an exception. So each thread has its own stack of open calls, in no copy and no file.
"""

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import nn

from fdam_mm.errors import ForwardError
from fdam_mm.layers.compiling import never_compiled

from .arguments import Args, Kwargs


class OpenCalls(threading.local):
    """The calls of one module that this thread is in, the innermost last.

    An entry must lead back to no module: what a thread keeps, it keeps alive.
    """

    def __init__(self) -> None:
        self.stack: list[Any] = []

    def __reduce__(self) -> tuple[Callable, tuple[()]]:
        return type(self), ()  # copies and files start empty

    def begin(self, module: nn.Module, call: Any) -> None:
        if self.stack:  # rare: a call in a call, or what a KeyboardInterrupt left
            self._drop_dead(module)
        self.stack.append(call)

    def end(self) -> None:
        if self.stack:
            self.stack.pop()

    @never_compiled
    def _drop_dead(self, module: nn.Module) -> None:
        """Forget the calls that have ended without saying so."""
        live = -1  # the call that begins is live, and not on the stack
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            called = frame.f_code is nn.Module._call_impl.__code__
            live += called and frame.f_locals.get("self") is module
            frame = frame.f_back
        del self.stack[: len(self.stack) - max(live, 0)]


def refuse_symbols(args: Args, kwargs: Kwargs) -> None:
    """torch.fx's symbolic trace runs no hooks of the modules that it takes for leaves.

    Raises:
        ForwardError: The arguments of a call are its symbols.
    """
    if any(isinstance(value, torch.fx.Proxy) for value in (*args[:1], *kwargs.values())):
        raise ForwardError(
            "torch.fx.symbolic_trace does not see FDAM's hooks: use torch.export, or trace with a "
            "torch.fx.Tracer whose is_leaf_module is true for the blocks"
        )
