"""``apply_fdam``: put AttInv and FreqScale into a model that exists."""

import inspect
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fdam_mm.errors import UnservedError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.settings import layer_settings

from .adapter import AttentionAdapter, BlockAdapter, Unsupported, adapter_of, full_name
from .children import ChildHook
from .grids import Grids
from .hooks import AttInvHooks, FreqScaleHooks
from .report import Insertion, Report, by_reason

Settings = bool | Mapping[str, Any] | None

_ATTENTION = re.compile(r"Attention|Attn")


def apply_fdam(
    model: nn.Module,
    att_inv: Settings = True,
    freq_scale: Settings = True,
    strict: bool = True,
) -> Report:
    """Put AttInv and FreqScale into ``model``, in place; its weights and its keys stay.

    The layers start near the identity. They are children of the attention (``att_inv``) and of
    the block (``freq_scale_1``, ``freq_scale_2``) and act through hooks, so forwards stay as they
    are. Modules are recognised by their class: see :func:`fdam_mm.inject.register_adapter`.

    Args:
        model: Changed in place, completely or not at all.
        att_inv: True for the released settings, False, or a dict of arguments of :class:`AttInv`.
        freq_scale: Likewise, of :class:`FreqScale`. Where ``groups`` is not given and 16 does not
            divide a block's channels, the largest smaller divisor is taken.
        strict: Raise where a module cannot be served; False leaves it out and reports it.

    Returns:
        What went where, and what was left out.

    Raises:
        UnservedError: The model has FDAM already, or, when strict, parts that cannot be served.
        TypeError, ValueError: Settings that do not exist.
    """
    plan = _Plan(
        layer_settings("att_inv", att_inv, AttInv),
        layer_settings("freq_scale", freq_scale, FreqScale),
    )
    plan.read(model)
    if strict and plan.problems:
        listing = "\n  ".join(by_reason(plan.problems))
        raise UnservedError(
            f"{type(model).__name__} cannot be served completely (strict=False leaves the rest "
            f"out):\n  {listing}"
        )
    with ExitStack() as undo:
        for attention in plan.attentions:
            _insert_att_inv(attention, undo)
        for block in plan.blocks:
            _insert_freq_scale(block, undo)
        for source, grids in plan.grids.items():
            _insert_grids(model, source, grids, undo)
        undo.pop_all()
    return Report(tuple(plan.insertions()), plan.skipped, plan.problems)


@dataclass
class _Attention:
    name: str
    module: nn.Module
    adapter: AttentionAdapter
    layer: AttInv


@dataclass
class _Block:
    name: str
    module: nn.Module
    adapter: BlockAdapter
    layers: list[FreqScale]
    grids: Grids | None


@dataclass
class _Plan:
    """All insertions, made ready before the first."""

    att_inv: dict[str, Any] | None
    freq_scale: dict[str, Any] | None
    attentions: list[_Attention] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    grids: dict[nn.Module, Grids] = field(default_factory=dict)  # by their source
    owners: dict[tuple[type, nn.Module], str] = field(default_factory=dict)  # of hooked children

    def read(self, model: nn.Module) -> None:
        """Find the modules and build their layers; the model is not touched."""
        modules = dict(model.named_modules())
        present = [n for n, m in modules.items() if isinstance(m, AttInv | FreqScale)]
        if present:
            raise UnservedError(f"{type(model).__name__} has FDAM already, at {present[0]}")
        if self.att_inv is None and self.freq_scale is None:
            raise ValueError("att_inv and freq_scale are both switched off")
        adapters = {name: adapter_of(module) for name, module in modules.items()}
        for name, adapter in adapters.items():
            parents = [modules[parent] for parent in _parents(name)]
            try:
                self._read_module(name, modules[name], adapter, parents)
            except (Unsupported, ValueError) as why:  # a layer's ValueError: dims that do not fit
                self.problems[name] = str(why)
        self._read_unknown(modules, adapters)
        self._require_layers(model)

    def _read_module(
        self, name: str, module: nn.Module, adapter: type | None, parents: Sequence[nn.Module]
    ) -> None:
        if adapter is None:
            return
        if issubclass(adapter, AttentionAdapter) and self.att_inv is not None:
            self._read_attention(name, module, adapter(module))
        if issubclass(adapter, BlockAdapter) and self.freq_scale is not None:
            self._read_block(name, module, adapter(module, parents), parents)

    def _read_attention(self, name: str, attn: nn.Module, adapter: AttentionAdapter) -> None:
        if adapter.reason is not None:
            self.skipped[name] = adapter.reason
            return
        children = [c for c in (adapter.values, adapter.projection) if c is not None]
        _require_attributes(attn, [*children, *adapter.attributes], new=["att_inv"])
        self._require_own(name, attn, children, AttInv)
        layer = AttInv(adapter.dim, adapter.num_heads, **self.att_inv)
        self.attentions.append(_Attention(name, attn, adapter, _like(attn, layer)))

    def _read_block(
        self, name: str, block: nn.Module, adapter: BlockAdapter, parents: Sequence[nn.Module]
    ) -> None:
        names = [_scale_name(index) for index in range(len(adapter.sites))]
        children = [site.child for site in adapter.sites]
        _require_attributes(block, children, new=names)
        self._require_own(name, block, children, FreqScale)
        settings = {"groups": _groups(adapter.dim), **self.freq_scale}
        layers = [_like(block, FreqScale(adapter.dim, **settings)) for _ in adapter.sites]
        source = adapter.grid_source(parents)
        grids = None if source is None else self.grids.setdefault(source, Grids())
        self.blocks.append(_Block(name, block, adapter, layers, grids))

    def _require_own(
        self, name: str, module: nn.Module, children: Sequence[str], layer: type
    ) -> None:
        """A child of two modules could not tell for which of them it is called."""
        for child in children:
            owner = self.owners.setdefault((layer, getattr(module, child)), name)
            if owner != name:
                raise Unsupported(f"it shares its child {child} with {owner}")

    def _read_unknown(
        self, modules: Mapping[str, nn.Module], adapters: Mapping[str, type | None]
    ) -> None:
        """Name attentions without an adapter, and attentions in no block with one."""
        known = {n for n, a in adapters.items() if a and issubclass(a, AttentionAdapter)}
        around = {parent for name in known for parent in _parents(name)}
        blocks = {n for n, a in adapters.items() if a and issubclass(a, BlockAdapter)}
        for name, module in modules.items():
            parents = _parents(name)
            if name in known:
                served = name in self.skipped or not blocks.isdisjoint(parents)
                if self.freq_scale is not None and not served:
                    self.problems.setdefault(name, "the block around it has no adapter")
                continue
            inside = name in around or not known.isdisjoint(parents)
            if adapters[name] is None and not inside and _looks_like_attention(module):
                self.problems[name] = f"{full_name(type(module))} has no adapter; register one"

    def _require_layers(self, model: nn.Module) -> None:
        """Asking for a layer that finds no place at all is an error too."""
        if self.problems:
            return
        missing = []
        if self.att_inv is not None and not self.attentions:
            why = "; ".join(sorted(set(self.skipped.values()))) or "no attention with an adapter"
            missing.append(f"no place for AttInv ({why}): att_inv=False leaves it out")
        if self.freq_scale is not None and not self.blocks:
            missing.append("no place for FreqScale: no block with an adapter")
        if missing:
            self.problems[type(model).__name__] = "; ".join(missing)

    def insertions(self) -> list[Insertion]:
        """The report's lines."""
        lines = [
            Insertion(
                a.name,
                "AttInv",
                f"{a.adapter.dim} channels, {a.adapter.num_heads} heads",
                _count(a.layer),
            )
            for a in self.attentions
        ]
        for block in self.blocks:
            for site, layer in zip(block.adapter.sites, block.layers, strict=True):
                groups = f"{block.adapter.dim} channels in {layer.groups} groups"
                detail = f"{site.side} of {site.child}, {groups}"
                lines.append(Insertion(block.name, "FreqScale", detail, _count(layer)))
        return lines


def _insert_att_inv(attention: _Attention, undo: ExitStack) -> None:
    attn, adapter = attention.module, attention.adapter
    _add_child(attn, "att_inv", attention.layer, undo)
    hooks = AttInvHooks(adapter)
    _add_hooks(attn, hooks, undo)
    undo.callback(hooks.restore_attributes, attn)
    hooks.set_attributes(attn)


def _insert_freq_scale(plan: _Block, undo: ExitStack) -> None:
    names = [_scale_name(index) for index in range(len(plan.layers))]
    for name, layer in zip(names, plan.layers, strict=True):
        _add_child(plan.module, name, layer, undo)
    _add_hooks(plan.module, FreqScaleHooks(plan.adapter, names, plan.grids), undo)


def _insert_grids(model: nn.Module, source: nn.Module, grids: Grids, undo: ExitStack) -> None:
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is source:
                hook = ChildHook(name, grids.record, before=False)
                _follow(parent, hook, undo)
                undo.callback(parent.register_forward_pre_hook(hook.follow).remove)
                return


def _add_hooks(module: nn.Module, its: AttInvHooks | FreqScaleHooks, undo: ExitStack) -> None:
    undo.callback(module.register_forward_pre_hook(its.enter).remove)
    undo.callback(module.register_forward_hook(its.leave, always_call=True).remove)
    for hook in its.children:
        _follow(module, hook, undo)


def _follow(parent: nn.Module, hook: ChildHook, undo: ExitStack) -> None:
    hook.follow(parent)
    undo.callback(hook.remove)


def _add_child(module: nn.Module, name: str, child: nn.Module, undo: ExitStack) -> None:
    module.add_module(name, child.train(module.training))
    undo.callback(delattr, module, name)


def _require_attributes(module: nn.Module, names: Sequence[str], new: Sequence[str]) -> None:
    if type(module).forward is nn.Sequential.forward:
        raise Unsupported(
            "it is an nn.Sequential, which runs every child, the new layers too; give it a "
            "forward of its own"
        )
    present = [name for name in new if hasattr(module, name)]
    if present:
        raise Unsupported(f"it has an attribute {present[0]} of its own")
    absent = [name for name in names if not hasattr(module, name)]
    if absent:
        raise Unsupported(f"its adapter expects an attribute {absent[0]}")


def _looks_like_attention(module: nn.Module) -> bool:
    has_parameters = next(module.parameters(), None) is not None
    return has_parameters and _ATTENTION.search(type(module).__name__) is not None


def _parents(name: str) -> list[str]:
    """Names of the modules around ``name``, outermost first; the model's own is empty."""
    if not name:
        return []
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts))]


def _groups(dim: int) -> int:
    """The largest divisor of ``dim`` up to FreqScale's default."""
    default = inspect.signature(FreqScale).parameters["groups"].default
    return max(groups for groups in range(1, default + 1) if dim % groups == 0)


def _scale_name(index: int) -> str:
    return f"freq_scale_{index + 1}"


def _like(module: nn.Module, layer: nn.Module) -> nn.Module:
    """``layer`` on the device and in the dtype of ``module``."""
    reference = next((p for p in module.parameters() if p.is_floating_point()), None)
    return layer if reference is None else layer.to(reference.device, reference.dtype)


def _count(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters())
