"""The hooks by which FDAM's layers act inside a model that knows nothing of them.

A hook sees one module, and needs what others saw. The hooks of one attention, or of one block,
share an object for that. It holds no module: the one that is called tells its layers and children,
so copies, pickles and replicas on other devices use their own. What belongs to a call is in
:class:`OpenCalls`; a recomputed forward (activation checkpointing) is a forward like any other.
"""

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fdam_mm.errors import ForwardError

from .adapter import AttentionAdapter, BlockAdapter, Call, Grid, Site
from .arguments import Args, Kwargs, as_positional, change_input, input_key
from .calls import OpenCalls, refuse_symbols
from .children import ChildHook
from .grids import Grids
from .order import TokenOrder
from .rewritten import with_forward_of
from .windows import Windows

Changed = tuple[Args, dict[str, Any]]  # arguments that a pre-hook puts in the place of others


class _OpenAttention(NamedTuple):
    attn: weakref.ref
    args: Args
    kwargs: Kwargs
    captured: Any


class AttInvHooks:
    """Of an attention, the child that computes its values and its output projection."""

    names = ("att_inv",)

    def __init__(self, adapter: AttentionAdapter, parameters: tuple[str, ...]) -> None:
        self.adapter, self.parameters, self.calls = adapter, parameters, OpenCalls()
        self.before: dict[str, tuple[Any, bool]] = {}  # attributes, and whether the module's own
        self.children: list[ChildHook] = []
        if adapter.forward is not None:
            return
        self.children.append(ChildHook(adapter.projection, self.mix, before=True))
        if adapter.values is not None:
            take = ChildHook(adapter.values, self.take_values, before=False, last=True)
            self.children.append(take)

    def enter(self, attn: nn.Module, args: Args, kwargs: Kwargs) -> None:
        """Pre-hook of the attention."""
        refuse_symbols(args, kwargs)
        for hook in self.children:
            hook.follow(attn)
        self.calls.begin(attn, _OpenAttention(weakref.ref(attn), args, kwargs, None))

    def leave(self, attn: nn.Module, args: Args, kwargs: Kwargs, output: Any) -> None:
        """Hook of the attention, called also where its forward raises."""
        self.calls.end()

    def set_attributes(self, attn: nn.Module) -> None:
        """Those that the adapter asks for, and the class with its forward."""
        changes = dict(self.adapter.attributes)
        if self.adapter.forward is not None:
            changes["__class__"] = with_forward_of(type(self.adapter), type(attn))  # type: ignore[arg-type]
        for name, value in changes.items():
            self.before[name] = getattr(attn, name), name in vars(attn)
            setattr(attn, name, value)

    def restore_attributes(self, attn: nn.Module) -> None:
        """As they were before :meth:`set_attributes`."""
        for name, (value, own) in self.before.items():
            setattr(attn, name, value)
            if not own:  # the class tells it
                vars(attn).pop(name, None)

    def take_values(self, child: nn.Module, args: Args, kwargs: Kwargs, output: Any) -> None:
        """Hook of the child that computes the values."""
        stack = self.calls.stack
        if stack and stack[-1] is not None:
            stack[-1] = stack[-1]._replace(captured=output)

    def mix(self, projection: nn.Module, args: Args, kwargs: dict[str, Any]) -> Changed:
        """Pre-hook of the output projection: AttInv in the place of ``y``."""
        adapter, stack = self.adapter, self.calls.stack
        call = stack[-1] if stack else None
        if call is None or (adapter.values is not None and call.captured is None):
            raise ForwardError(
                f"AttInv: {type(adapter).__name__} has seen no values before the output "
                f"projection; the attention did not call its child {adapter.values!r}"
            )
        stack[-1] = None  # its tensors are not needed any more
        call = Call(call.attn(), call.args, call.captured, call.kwargs, self.parameters)
        return change_input(projection, args, kwargs, partial(self._att_inv, call))

    def _att_inv(self, call: Call, y: Tensor) -> Tensor:
        adapter, att_inv = self.adapter, call.attn.att_inv
        x, v = adapter.x(call), adapter.v(call)
        if adapter.channels_first:
            return att_inv(*(t.movedim(1, -1) for t in (x, v, y))).movedim(-1, 1)
        return att_inv(x, v, y)


class _OpenBlock(NamedTuple):
    layers: tuple[nn.Module, ...]
    hw: Grid | None
    levels: Sequence[Grid] | None


class FreqScaleHooks:
    """Of a block and the children at which its FreqScales, by their ``names`` in it, act."""

    def __init__(
        self,
        adapter: BlockAdapter,
        parameters: tuple[str, ...],
        names: Sequence[str],
        grids: Grids | None,
    ) -> None:
        self.adapter, self.parameters = adapter, parameters
        self.names, self.grids = tuple(names), grids
        self.plain_class: type[nn.Module] | None = None  # where the block's was changed
        self.calls = OpenCalls()
        self.order = None if adapter.order is None else TokenOrder(adapter.order)
        self.children = []
        for index, site in enumerate(adapter.sites):
            hook, before = SiteHook(self, index, site), site.side == "input"
            scale = hook.scale_input if before else hook.scale_output
            self.children.append(ChildHook(site.child, scale, before))

    def enter(self, block: nn.Module, args: Args, kwargs: Kwargs) -> None:
        """Pre-hook of the block."""
        refuse_symbols(args, kwargs)
        for hook in self.children:
            hook.follow(block)
        layers = tuple(getattr(block, name) for name in self.names)
        self.calls.begin(block, _OpenBlock(layers, *self._grids(args, kwargs)))

    def leave(self, block: nn.Module, args: Args, kwargs: Kwargs, output: Any) -> None:
        """Hook of the block, called also where its forward raises."""
        self.calls.end()

    def _grids(self, args: Args, kwargs: Kwargs) -> tuple[Grid | None, Sequence[Grid] | None]:
        """That of one map and those of several levels, as the sites need them."""
        if kwargs:
            args = as_positional(self.parameters, args, kwargs)
            args = args or (kwargs[input_key((), kwargs)],)
        layouts = {site.layout for site in self.adapter.sites}
        if self.grids is not None:
            return self.grids.of(args[0], self.adapter.num_prefix_tokens), None
        if "levels" in layouts:
            return None, [_plain(grid) for grid in self.adapter.levels(args, kwargs)]
        if layouts & {"tokens", "partitions", "windows"}:
            return _plain(self.adapter.hw(args)), None
        return None, None


def _plain(grid: Grid) -> Grid:
    """Plain numbers also where a trace has others."""
    height, width = grid
    return int(height), int(width)


class SiteHook:
    """FreqScale on what enters or leaves one child of a block."""

    def __init__(self, block: FreqScaleHooks, index: int, site: Site) -> None:
        self.block, self.index, self.site = block, index, site

    def scale_input(self, child: nn.Module, args: Args, kwargs: dict[str, Any]) -> Changed:
        """Pre-hook of the child."""
        return change_input(child, args, kwargs, self._scale)

    def scale_output(self, child: nn.Module, args: Args, kwargs: Kwargs, output: Tensor) -> Tensor:
        """Hook of the child."""
        return self._scale(output)

    def _scale(self, x: Tensor) -> Tensor:
        if not self.block.calls.stack:
            raise ForwardError(
                f"FreqScale: {type(self.block.adapter).__name__} has its child "
                f"{self.site.child!r} called outside of its block; call the block"
            )
        layers, hw, levels = self.block.calls.stack[-1]
        freq_scale, layout = layers[self.index], self.site.layout
        if layout == "nchw":
            return freq_scale(x)
        if layout == "nhwc":
            hw = int(x.shape[1]), int(x.shape[2])
            return freq_scale(x.flatten(1, 2), hw=hw).unflatten(1, hw)
        if layout == "levels":
            parts = x.split([height * width for height, width in levels], dim=1)
            return torch.cat([freq_scale(t, hw=g) for t, g in zip(parts, levels, strict=True)], 1)
        if layout == "windows":
            windows = Windows(x, hw)
            return windows.apart(freq_scale(windows.map().flatten(1, 2), hw=hw).unflatten(1, hw))
        if layout == "partitions":
            return self._on_tokens(x.flatten(1, 2), freq_scale, hw).view_as(x)
        return self._on_tokens(x, freq_scale, hw)

    def _on_tokens(self, x: Tensor, freq_scale: nn.Module, hw: Grid | None) -> Tensor:
        order = self.block.order
        if order is None:
            return freq_scale(x, hw, self.block.adapter.num_prefix_tokens)
        return order.to_tokens(freq_scale(order.to_map(x), hw))
