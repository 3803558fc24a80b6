"""The hooks by which FDAM's layers act inside a model that knows nothing of them.

A hook sees one module, and needs what others saw. A relay, a module without parameters, is a child
of all modules involved and carries it. Relays follow their modules through copying, pickling and
replication to other devices; nothing is kept in closures or globals, so a recomputed forward
(activation checkpointing) is a forward like any other.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .adapter import AttentionAdapter, BlockAdapter, Call, Grid, Layout


class _Relay(nn.Module):
    """An identity to whoever calls it, as a sequence does that has it among its children."""

    _passing: dict[str, Any] = {}  # what belongs to a forward, and to no copy or file

    def forward(self, x: Any) -> Any:
        return x

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, **self._passing}


class AttInvRelay(_Relay):
    """Shared by an attention, the child that computes its values and its output projection."""

    _passing = dict(call=None)

    def __init__(self, adapter: AttentionAdapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.call: Call | None = None


class GridRelay(_Relay):
    """The grids a model has seen, by number of tokens; shared by grid source and blocks.

    It outlives the forward, because activation checkpointing runs blocks again later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, Grid] = {}


class FreqScaleRelay(_Relay):
    """Shared by a block and the children at which its FreqScales act."""

    _passing = dict(block=None, hw=None)

    def __init__(self, adapter: BlockAdapter, grid: GridRelay | None) -> None:
        super().__init__()
        self.num_prefix_tokens = adapter.num_prefix_tokens
        self.adapter, self.grid = adapter, grid
        order = adapter.order
        self.register_buffer("order", order, persistent=False)
        inverse = None if order is None else torch.argsort(order)
        self.register_buffer("inverse", inverse, persistent=False)
        adapter.order = None  # the buffer follows the model to its device
        self.block: tuple[nn.Module] | None = None  # a tuple: the block is no child of the relay
        self.hw: Grid | None = None


def enter_attention(attn: nn.Module, args: tuple[Any, ...]) -> None:
    """Pre-hook of the attention."""
    attn.att_inv_relay.call = Call(attn, args, None)


def take_values(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    """Hook of the child that computes the values."""
    relay = module.att_inv_relay
    if relay.call is not None:
        relay.call = relay.call._replace(captured=output)


def mix(projection: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Pre-hook of the output projection: AttInv in the place of ``y``."""
    relay = projection.att_inv_relay
    adapter, call = relay.adapter, relay.call
    if call is None or (adapter.values is not None and call.captured is None):
        raise RuntimeError(
            f"AttInv: {type(adapter).__name__} has seen no values before the output projection; "
            f"the attention did not call its child {adapter.values!r}"
        )
    relay.call = None
    x, v, y = adapter.x(call), adapter.v(call), args[0]
    if adapter.channels_first:
        y = call.attn.att_inv(*(t.movedim(1, -1) for t in (x, v, y))).movedim(-1, 1)
    else:
        y = call.attn.att_inv(x, v, y)
    return (y, *args[1:])


def record_grid(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
    """Hook of the grid source."""
    height, width = output.shape[-2:]
    module.grid_relay.seen[height * width] = (height, width)


def enter_block(block: nn.Module, args: tuple[Any, ...]) -> None:
    """Pre-hook of a block."""
    relay = block.freq_scale_relay
    relay.block = (block,)
    if relay.grid is not None:
        relay.hw = _seen_grid(relay, args[0])
    elif any(site.layout == "tokens" for site in relay.adapter.sites):
        relay.hw = relay.adapter.hw(args)


def _seen_grid(relay: FreqScaleRelay, x: Tensor) -> Grid:
    num_tokens = x.shape[1] - relay.num_prefix_tokens
    if num_tokens not in relay.grid.seen:
        raise RuntimeError(
            f"FreqScale: {x.shape[1]} tokens of which {relay.num_prefix_tokens} are prefix tokens "
            f"fit no grid that the patch embedding made ({list(relay.grid.seen.values())}); "
            "tokens may not be dropped"
        )
    return relay.grid.seen[num_tokens]


class ScaleInput(NamedTuple):
    """Pre-hook: FreqScale on what enters a child of the block."""

    name: str
    layout: Layout

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (_scale(module.freq_scale_relay, self, args[0]), *args[1:])


class ScaleOutput(NamedTuple):
    """Hook: FreqScale on what leaves a child of the block."""

    name: str
    layout: Layout

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return _scale(module.freq_scale_relay, self, output)


def _scale(relay: FreqScaleRelay, site: ScaleInput | ScaleOutput, x: Tensor) -> Tensor:
    freq_scale = getattr(relay.block[0], site.name)
    if site.layout == "nchw":
        return freq_scale(x)
    if site.layout == "nhwc":
        hw = x.shape[1:3]
        return freq_scale(x.flatten(1, 2), hw=hw).unflatten(1, hw)
    if relay.order is None:
        return freq_scale(x, relay.hw, relay.num_prefix_tokens)
    return freq_scale(x[:, relay.order], relay.hw)[:, relay.inverse]
