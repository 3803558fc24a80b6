"""``apply_fdam``: put AttInv and FreqScale into a model that exists."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn

from fdam_mm.errors import UnservedError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.settings import layer_settings

from .adapter import (
    Adapter,
    AttentionAdapter,
    BlockAdapter,
    NoAttInv,
    Unsupported,
    adapter_of,
    full_name,
)
from .arguments import parameter_names
from .candidates import (
    blocks_around,
    is_attention,
    parent_names,
    unknown_attentions,
    with_blocks_around,
    without_closed,
)
from .children import ChildHook, find_child
from .grids import Grids
from .hooks import AttInvHooks, FreqScaleHooks
from .recomputed import is_checkpointed_by_forward, recomputable
from .report import Insertion, Report, by_reason
from .selection import Patterns, Selection

Settings = bool | Mapping[str, Any] | None

_Layer = TypeVar("_Layer", AttInv, FreqScale)


def apply_fdam(
    model: nn.Module,
    att_inv: Settings = True,
    freq_scale: Settings = True,
    strict: bool = True,
    include: Patterns = None,
    exclude: Patterns = None,
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
        include: Patterns of the names of attentions and blocks to serve, as the shell writes them:
            ``"blocks.[4-9]"``, ``["stages.2.*", "stages.3.*"]``. A block's name stands for the
            attention in it too. None is all.
        exclude: Patterns of those to leave out of these, whether they could be served or not.

    Returns:
        What went where, and what was left out.

    Raises:
        UnservedError: The model has FDAM already, or, when strict, parts that cannot be served.
        UsageError: A pattern that matches no attention and no block, or patterns that leave none.
        TypeError, ValueError: Settings that do not exist.
    """
    plan = _Plan(
        layer_settings("att_inv", att_inv, AttInv),
        layer_settings("freq_scale", freq_scale, FreqScale),
        Selection(include, exclude),
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
    selection: Selection
    attentions: list[_Attention] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    grids: dict[nn.Module, Grids] = field(default_factory=dict)  # by their source
    # Of children that have hooks:
    owners: dict[tuple[type, nn.Module | None], str] = field(default_factory=dict)

    def read(self, model: nn.Module) -> None:
        """Find the modules and build their layers; the model is not touched."""
        modules = dict(model.named_modules())
        present = [n for n, m in modules.items() if isinstance(m, AttInv | FreqScale)]
        if present:
            raise UnservedError(f"{type(model).__name__} has FDAM already, at {present[0]}")
        if self.att_inv is None and self.freq_scale is None:
            raise ValueError("att_inv and freq_scale are both switched off")
        found = ((name, adapter_of(module)) for name, module in modules.items())
        adapters = without_closed(
            {name: adapter for name, adapter in found if adapter is not None}
        )
        unknown = unknown_attentions(modules, adapters)
        left_out = self.selection.left_out(with_blocks_around([*adapters, *unknown], adapters))
        for name, adapter in adapters.items():
            if name in left_out:
                continue
            parents = [modules[parent] for parent in parent_names(name)]
            try:
                _require_block(name, adapter, adapters)
                self._read_module(name, modules[name], adapter, parents)
            except (Unsupported, ValueError) as why:  # a layer's ValueError: dims that do not fit
                self.problems[name] = str(why)
        for name in unknown:
            if name not in left_out:
                kind = full_name(type(modules[name]))
                self.problems[name] = f"{kind} has no adapter; register one"
        self._read_blockless(adapters, left_out)
        self._require_layers(model, [adapters[n] for n in left_out if n in adapters])

    def _read_module(
        self, name: str, module: nn.Module, adapter: Adapter, parents: Sequence[nn.Module]
    ) -> None:
        if issubclass(adapter, AttentionAdapter):
            if self.att_inv is not None:
                self._read_attention(name, module, adapter(module), self.att_inv)
        elif self.freq_scale is not None:
            self._read_block(name, module, adapter(module, parents), parents, self.freq_scale)

    def _read_attention(
        self, name: str, attn: nn.Module, adapter: AttentionAdapter, settings: dict[str, Any]
    ) -> None:
        if adapter.reason is not None:
            self.skipped[name] = adapter.reason
            return
        used = (adapter.values, adapter.projection) if adapter.forward is None else ()
        children = [c for c in used if c is not None]
        _require_room(attn, children, new=["att_inv"])
        absent = [name for name in adapter.attributes if not hasattr(attn, name)]
        if absent:
            raise Unsupported(f"its adapter expects an attribute {absent[0]}")
        self._require_own(name, attn, children, AttInv)
        layer = AttInv(adapter.dim, adapter.num_heads, **settings)
        self.attentions.append(_Attention(name, attn, adapter, _like(attn, layer)))

    def _read_block(
        self,
        name: str,
        block: nn.Module,
        adapter: BlockAdapter,
        parents: Sequence[nn.Module],
        given: dict[str, Any],
    ) -> None:
        names = [_scale_name(index) for index in range(len(adapter.sites))]
        children = [site.child for site in adapter.sites]
        _require_room(block, children, new=names)
        self._require_own(name, block, children, FreqScale)
        settings = {"groups": _groups(adapter.dim), **given}
        layers = [_like(block, FreqScale(adapter.dim, **settings)) for _ in adapter.sites]
        source = adapter.grid_source(parents)
        grids = None if source is None else self.grids.setdefault(source, Grids(adapter.grid_of))
        self.blocks.append(_Block(name, block, adapter, layers, grids))

    def _require_own(
        self, name: str, module: nn.Module, children: Sequence[str], layer: type
    ) -> None:
        """A child of two modules could not tell for which of them it is called."""
        for child in children:
            owner = self.owners.setdefault((layer, find_child(module, child)), name)
            if owner != name:
                raise Unsupported(f"it shares its child {child} with {owner}")

    def _read_blockless(self, adapters: Mapping[str, Adapter], left_out: Collection[str]) -> None:
        """Name attentions in no block with an adapter."""
        if self.freq_scale is None:
            return
        for name, adapter in adapters.items():
            left = name in left_out or name in self.skipped or issubclass(adapter, NoAttInv)
            if is_attention(adapter) and not (left or blocks_around(name, adapters)):
                self.problems.setdefault(name, "the block around it has no adapter")

    def _require_layers(self, model: nn.Module, left_out: Sequence[Adapter]) -> None:
        """Asking for a layer that finds no place is an error too, unless the patterns say so."""
        if self.problems:
            return
        missing = []
        blocks_alone = bool(self.blocks) and any(map(is_attention, left_out))
        if self.att_inv is not None and not (self.attentions or blocks_alone):
            why = "; ".join(sorted(set(self.skipped.values()))) or "no attention with an adapter"
            missing.append(f"no place for AttInv ({why}): att_inv=False leaves it out")
        attentions_alone = bool(self.attentions) and not all(map(is_attention, left_out))
        if self.freq_scale is not None and not (self.blocks or attentions_alone):
            missing.append("no place for FreqScale: no block with an adapter")
        if missing:
            where = " among what include and exclude leave" if left_out else ""
            self.problems[type(model).__name__ + where] = "; ".join(missing)

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
    hooks = AttInvHooks(adapter, parameter_names(attn))
    _add_hooks(attn, hooks, undo)
    undo.callback(hooks.restore_attributes, attn)
    hooks.set_attributes(attn)


def _insert_freq_scale(plan: _Block, undo: ExitStack) -> None:
    names = [_scale_name(index) for index in range(len(plan.layers))]
    for name, layer in zip(names, plan.layers, strict=True):
        _add_child(plan.module, name, layer, undo)
    parameters = parameter_names(plan.module)
    hooks = FreqScaleHooks(plan.adapter, parameters, names, plan.grids)
    _add_hooks(plan.module, hooks, undo)
    kind = type(plan.module)
    if is_checkpointed_by_forward(kind):
        hooks.plain_class = kind
        undo.callback(setattr, plan.module, "__class__", kind)
        plan.module.__class__ = recomputable(kind)  # type: ignore[arg-type]


def _insert_grids(model: nn.Module, source: nn.Module, grids: Grids, undo: ExitStack) -> None:
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is source:
                hook = ChildHook(name, grids.record, before=False)
                _follow(parent, hook, undo)
                undo.callback(parent.register_forward_pre_hook(hook.follow).remove)
                return


def _add_hooks(module: nn.Module, its: AttInvHooks | FreqScaleHooks, undo: ExitStack) -> None:
    undo.callback(module.register_forward_pre_hook(its.enter, with_kwargs=True).remove)
    leave = module.register_forward_hook(its.leave, with_kwargs=True, always_call=True)
    undo.callback(leave.remove)
    for hook in its.children:
        _follow(module, hook, undo)


def _follow(parent: nn.Module, hook: ChildHook, undo: ExitStack) -> None:
    hook.follow(parent)
    undo.callback(hook.remove)


def _add_child(module: nn.Module, name: str, child: nn.Module, undo: ExitStack) -> None:
    module.add_module(name, child.train(module.training))
    undo.callback(delattr, module, name)


def _require_room(module: nn.Module, children: Sequence[str], new: Sequence[str]) -> None:
    """The children of an adapter must be there, and those that FDAM adds must not."""
    if type(module).forward is nn.Sequential.forward:
        raise Unsupported(
            "it is an nn.Sequential, which runs every child, the new layers too; give it a "
            "forward of its own"
        )
    present = [name for name in new if hasattr(module, name)]
    if present:
        raise Unsupported(f"it has an attribute {present[0]} of its own")
    absent = [name for name in children if find_child(module, name) is None]
    if absent:
        raise Unsupported(f"its adapter expects a child {absent[0]}")


def _require_block(name: str, adapter: Adapter, adapters: Mapping[str, Adapter]) -> None:
    known = not issubclass(adapter, AttentionAdapter) or not adapter.in_known_blocks
    if not (known or blocks_around(name, adapters)):
        raise Unsupported("the block around it has no adapter, and it may be no self-attention")


def _groups(dim: int) -> int:
    """The largest divisor of ``dim`` up to FreqScale's default."""
    default = inspect.signature(FreqScale).parameters["groups"].default
    return max(groups for groups in range(1, default + 1) if dim % groups == 0)


def _scale_name(index: int) -> str:
    return f"freq_scale_{index + 1}"


def _like(module: nn.Module, layer: _Layer) -> _Layer:
    """``layer`` on the device and in the dtype of ``module``."""
    reference = next((p for p in module.parameters() if p.is_floating_point()), None)
    return layer if reference is None else layer.to(reference.device, reference.dtype)


def _count(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters())
