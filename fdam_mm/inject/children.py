"""Hooks that follow a name: the child may be wrapped or replaced after ``apply_fdam``."""

import threading
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from fdam_mm.errors import ForwardError
from fdam_mm.layers.compiling import never_compiled

_MOVING = threading.Lock()


def find_child(module: nn.Module, name: str) -> nn.Module | None:
    """The child of this name, also ``"mlp.fc2"``; None where there is none.

    Where a wrapper stands in the place of ``mlp``, ``fc2`` is the one inside the wrapper.
    """
    first, *rest = name.split(".")
    child = getattr(module, first, None)
    for part in rest:
        if not isinstance(child, nn.Module):
            return None
        inner = getattr(child, part, None)
        child = inner if isinstance(inner, nn.Module) else _inside(child, part)
    return child if isinstance(child, nn.Module) else None


def _inside(wrapper: nn.Module, name: str) -> nn.Module | None:
    """The one child of this name anywhere in ``wrapper``."""
    found = [m._modules[name] for m in wrapper.modules() if m._modules.get(name) is not None]
    return found[0] if len(found) == 1 else None


class ChildHook:
    """A hook on the child of this name, whichever module that is when its parent is called.

    LoRA, quantisation and their like put a module of their own in the place of a child, often with
    the child inside. The parent's forward sees what that module takes and returns, and so must the
    hook.

    Args:
        child: The name; with dots that of a child's child.
        hook: A forward hook, or a forward pre-hook where ``before``; it takes keywords too.
        before: The hook acts on what enters the child, not on what leaves it.
        last: The hook comes after all others, so that it sees what they return.
    """

    def __init__(self, child: str, hook: Callable, before: bool, last: bool = False) -> None:
        self.child, self.hook, self.before, self.last = child, hook, before, last
        # Copied and pickled with the hooks, a handle keeps its number from being given twice.
        self.handle: RemovableHandle | None = None
        self.number = -1

    def follow(self, parent: nn.Module, args: tuple[Any, ...] = ()) -> None:
        """Have the hook where the parent's forward will call it; a pre-hook of the parent."""
        child = find_child(parent, self.child)
        if child is None:
            raise ForwardError(
                f"FDAM: {type(parent).__name__} has no child {self.child!r} any more; remove_fdam "
                "before taking it out"
            )
        hooks = child._forward_pre_hooks if self.before else child._forward_hooks
        if self.number not in hooks or (self.last and list(hooks)[-1] != self.number):
            self._move(child, hooks)

    @never_compiled
    def _move(self, child: nn.Module, hooks: dict[int, Callable]) -> None:
        register = child.register_forward_pre_hook if self.before else child.register_forward_hook
        with _MOVING:
            self.remove()
            for number in [number for number, hook in hooks.items() if hook == self.hook]:
                drop_hook(child, number)  # quantisation gives its module the hooks anew
            self.handle = register(self.hook, with_kwargs=True)
            self.number = self.handle.id

    def remove(self) -> None:
        if self.handle is not None:
            self.handle.remove()


def drop_hook(module: nn.Module, number: int) -> None:
    """Unregister a forward hook or pre-hook, whose numbers differ, without its handle."""
    for hooks in (
        module._forward_pre_hooks,
        module._forward_pre_hooks_with_kwargs,
        module._forward_hooks,
        module._forward_hooks_with_kwargs,
        module._forward_hooks_always_called,
    ):
        hooks.pop(number, None)
