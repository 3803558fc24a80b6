"""The layers of a model, as an analysis looks at them: its blocks, whatever model it is."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from fdam_mm.errors import UsageError
from fdam_mm.inject.adapter import AttentionAdapter, adapter_of

_ATTENTION = re.compile(r"Attention|Attn|SS2D|Mixer|Modulation")


def layers_of(model: nn.Module, patterns: Sequence[str] = ()) -> dict[str, nn.Module]:
    """The blocks of a model by their names, in the order in which it holds them.

    Without patterns: of the modules with a number for a name, the innermost that hold an
    attention, and those beside them; where none does, the innermost that hold other modules.

    Args:
        model: Any.
        patterns: Names of other modules, as the shell writes them: ``"backbone.layers.*"``.

    Raises:
        UsageError: A pattern matches no module, or the model has no such blocks.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if patterns:
        return _matching(modules, patterns)
    numbered = [n for n, m in modules.items() if n.rpartition(".")[2].isdigit() and _holds(m)]
    attentions = [name for name, module in modules.items() if _is_attention(module)]
    around = [n for n in numbered if any(a.startswith(n + ".") for a in attentions)]
    innermost = _innermost(around or numbered)
    if not innermost:
        raise UsageError(
            f"{type(model).__name__} has no blocks that could be told by their names; name them: "
            'layers=["stages.*.blocks.*"]'
        )
    lists = {name.rpartition(".")[0] for name in innermost}
    beside = {name for name in numbered if name.rpartition(".")[0] in lists}
    return {name: modules[name] for name in modules if name in beside}


def _matching(modules: dict[str, nn.Module], patterns: Sequence[str]) -> dict[str, nn.Module]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in modules):
            some = ", ".join(list(modules)[:3])
            raise UsageError(f"layers: {pattern!r} is the name of no module; some are {some}")
    return {
        name: module
        for name, module in modules.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _innermost(names: Sequence[str]) -> list[str]:
    return [name for name in names if not any(n.startswith(name + ".") for n in names)]


def _holds(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _is_attention(module: nn.Module) -> bool:
    if _ATTENTION.search(type(module).__name__):
        return True
    adapter = adapter_of(module)
    return adapter is not None and issubclass(adapter, AttentionAdapter)
