"""``remove_fdam``: the model as it was before ``apply_fdam``."""

from collections.abc import Callable

from torch import nn

from fdam_mm.errors import UsageError

from .children import ChildHook, drop_hook
from .grids import Grids
from .hooks import AttInvHooks, FreqScaleHooks, SiteHook
from .placed import Owner, owners, placed_layers
from .statistics import free_statistics

_OURS = (AttInvHooks, FreqScaleHooks, SiteHook, ChildHook, Grids)


def remove_fdam(model: nn.Module) -> None:
    """Take out, in place, what :func:`apply_fdam` put into ``model``: the plain model again.

    Layers and hooks go, and attributes that were set have their old values. Weights, modes and
    ``requires_grad`` of the rest stay as they are. A copy or an unpickled model serves as well.

    Raises:
        UsageError: There is no FDAM in it, or FDAM that the model was built with; it is unchanged.
    """
    holders = [(module, owners(module)) for module in model.modules()]
    if not any(found for _, found in holders):
        raise UsageError(f"{type(model).__name__} has no FDAM that apply_fdam put in")
    _refuse_built_in(model)
    for module, found in holders:
        for owner in found:
            _take_out(module, owner)
    for module, _ in holders:
        _drop_hooks(module)
    free_statistics(model)


def _refuse_built_in(model: nn.Module) -> None:
    built_in = [p.name for p in placed_layers(model) if not p.applied]
    if built_in:
        raise UsageError(
            f"{type(model).__name__} was built with FDAM, at {built_in[0]}: build it without, "
            "or remove FDAM from the part to which it was applied"
        )


def _take_out(module: nn.Module, owner: Owner) -> None:
    for hook in owner.children:
        hook.remove()  # also from a child that is no longer in the model
    for name in owner.names:
        module._modules.pop(name, None)
    if isinstance(owner, AttInvHooks):
        owner.restore_attributes(module)
    elif owner.plain_class is not None:
        module.__class__ = owner.plain_class


def _drop_hooks(module: nn.Module) -> None:
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for number in [n for n, hook in hooks.items() if _is_ours(hook)]:
            drop_hook(module, number)


def _is_ours(hook: Callable) -> bool:
    return isinstance(getattr(hook, "__self__", None), _OURS)
