"""Adapters: what :func:`fdam_mm.apply_fdam` must know about a class of attention or block.

Legend of the shape comments: B batch, H x W grid, N tokens, C channels, ``...`` any leading
dimensions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from fdam_mm.errors import ForwardError

from .arguments import Args, Kwargs, as_positional, input_key
from .children import find_child

# "tokens" is (B, prefix + N, C); "levels" is the same of several maps, one after another, without
# prefix; "partitions" is (B, P, N / P, C), and "windows" (B * P, h, w, C), row by row, padded.
Layout = Literal["tokens", "levels", "partitions", "windows", "nhwc", "nchw"]
Grid = tuple[int, int]


class Unsupported(Exception):
    """Raised by an adapter's constructor where a module cannot be served; says why."""


class Call(NamedTuple):
    """One forward of an attention module, as AttInv sees it."""

    attn: Any  # the attention, of whatever class
    args: Args  # the positional arguments of the attention, its normed input first
    captured: Any  # what the child ``values`` returned, None where the adapter names none
    kwargs: Kwargs = {}  # the keyword arguments
    parameters: tuple[str, ...] = ()  # of the attention's forward, in order

    def argument(self, position: int = 0, *names: str) -> Any:
        """An argument of the attention, given by position or by keyword; its input by default.

        Args:
            position: Among the parameters of the attention's forward.
            names: Keywords that it may have where the forward does not name its parameters.

        Raises:
            ForwardError: It was not given.
        """
        for name in names:
            if name in self.kwargs:
                return self.kwargs[name]
        args = as_positional(self.parameters, self.args, self.kwargs)
        if position < len(args):
            return args[position]
        if position == 0:
            return self.kwargs[input_key(self.parameters, self.kwargs)]
        raise ForwardError(
            f"FDAM: {type(self.attn).__name__} was called without argument {position}, which its "
            f"adapter needs; it got {len(self.args)} by position and {list(self.kwargs)}"
        )


class AttentionAdapter:
    """How AttInv reaches into one class of attention; the attention keeps its own forward.

    ``y`` is taken, and replaced, where it enters the child ``projection``; the values are taken
    where they leave the child ``values``. One adapter is made for each attention module. It must
    hold no tensor and no module.

    The defaults fit an attention with ``num_heads``, ``qkv`` and ``proj`` whose ``y`` and values
    have the tokens of its input and the heads side by side in C, the values last in ``qkv``.

    Attributes:
        values: Child that computes the values; None where :meth:`v` needs none. A child's child
            has a name with dots: ``"attn.qkv"``.
        projection: Child that takes ``y``, likewise.
        channels_first: ``x``, ``v`` and ``y`` are (B, C, H, W), not (..., C).
        attributes: Attributes of the attention to set when AttInv moves in.
        reason: Why this attention takes no AttInv; None where it does. Unlike
            :class:`Unsupported` it is no error, only reported.
        in_known_blocks: Serve it only within a block that has an adapter: elsewhere its class may
            do another thing, such as cross-attention.
        forward: A static method, the attention's forward written anew: ``forward(attn, ...)`` with
            the arguments of the old one, for a class whose forward does not call its children. It
            calls ``attn.att_inv(x, v, y)`` itself, and ``values``, ``projection`` and the methods
            are not used.
        dim: Channels C of x, v and y.
        num_heads: Heads.

    Raises:
        Unsupported: The module cannot be served.
    """

    values: str | None = "qkv"
    projection: str = "proj"
    channels_first: bool = False
    attributes: Mapping[str, Any] = {}
    reason: str | None = None
    in_known_blocks: bool = False
    forward: Callable[..., Any] | None = None
    dim: int
    num_heads: int

    def __init__(self, attn: Any) -> None:
        self.dim, self.num_heads = widths(attn.proj)[0], attn.num_heads

    def x(self, call: Call) -> Tensor:
        """The attention's normed input, (..., C)."""
        return call.argument()

    def v(self, call: Call) -> Tensor:
        """The values, (..., C), token for token those of ``y``."""
        return call.captured[..., -self.dim :]


class NoAttInv(AttentionAdapter):
    """An attention that takes no AttInv by its nature; a subclass sets ``reason``.

    Nothing within it gets FDAM either, so it may be a whole decoder of queries without a grid.
    """

    def __init__(self, attn: nn.Module) -> None: ...


class Site(NamedTuple):
    """Where one FreqScale of a block acts: on what enters or leaves a child of the block."""

    child: str  # with dots for a child's child: "mlp.fc2"
    side: Literal["input", "output"]
    layout: Layout


class BlockAdapter:
    """Where FreqScale acts in one class of block: on what each sub-layer adds.

    The right place is before LayerScale, drop-path and the residual sum, on the whole map. One
    adapter is made for each block. It must hold no module.

    Attributes:
        sites: In the order of ``freq_scale_1``, ``freq_scale_2``.
        num_prefix_tokens: Tokens before the grid's in the layout ``tokens``.
        order: Position of each grid point, row by row, among the tokens; None for row by row. Of
            the layouts ``tokens`` and ``partitions``.
        dim: Channels C.

    Args:
        block: The module.
        parents: The modules that hold it, outermost first.

    Raises:
        Unsupported: The module cannot be served.
    """

    sites: Sequence[Site] = (Site("attn", "output", "tokens"), Site("mlp", "output", "tokens"))
    num_prefix_tokens: int = 0
    order: Tensor | None = None
    dim: int

    def __init__(self, block: Any, parents: Sequence[nn.Module]) -> None:
        self.dim = widths(block.attn.proj)[1]

    def grid_source(self, parents: Sequence[nn.Module]) -> nn.Module | None:
        """A module outside the block whose output (B, C, H, W) tells the grid, or None."""
        return None

    def grid_of(self, size: Grid) -> Grid:
        """The grid of the tokens, from the height and width of the grid source's output."""
        return size

    def hw(self, args: Args) -> Grid:
        """The map behind ``tokens``, ``partitions`` or ``windows``, from the block's arguments.

        Args:
            args: In the order of the block's forward, those given by keyword too; None for one
                that was left out before another.
        """
        raise NotImplementedError(f"{type(self).__name__} has sites with tokens and no hw()")

    def levels(self, args: Args, kwargs: Kwargs) -> Sequence[Grid]:
        """The grids of the layout ``levels``, in the order of their tokens.

        Args:
            args: As in :meth:`hw`.
            kwargs: The keyword arguments as they were given.
        """
        raise NotImplementedError(f"{type(self).__name__} has sites with levels and no levels()")


def nearest(parents: Sequence[nn.Module], child: str) -> Any:
    """The innermost of ``parents`` that has a child of this name.

    Raises:
        Unsupported: None has; a block was taken out of its model.
    """
    for parent in reversed(parents):
        if find_child(parent, child) is not None:
            return parent
    raise Unsupported(f"no module around it has a {child}; apply to the whole model")


def widths(child: nn.Module) -> tuple[int, int]:
    """Channels that a linear or a convolution takes and returns, also one that is wrapped (LoRA).

    Raises:
        Unsupported: There is none.
    """
    kinds = ("in_features", "out_features"), ("in_channels", "out_channels")
    found = [
        (getattr(module, taken), getattr(module, returned))
        for module in child.modules()
        for taken, returned in kinds
        if hasattr(module, taken) and hasattr(module, returned)
    ]
    if not found:
        raise Unsupported(f"its child {type(child).__name__} does not tell its channels")
    return max(found, key=math.prod)  # what is wrapped around the linear is of lower rank


Adapter = type[AttentionAdapter] | type[BlockAdapter]
_ADAPTERS: dict[str, Adapter] = {}


def register_adapter(*classes: type[nn.Module] | str) -> Callable[[Adapter], Adapter]:
    """Class decorator: serve modules of ``classes`` with this adapter.

    Args:
        classes: Attention or block classes, or their full names (``"package.module.Class"``),
            which need no import. A later registration replaces an earlier one.
    """

    def register(adapter: Adapter) -> Adapter:
        for served in classes:
            _ADAPTERS[served if isinstance(served, str) else full_name(served)] = adapter
        return adapter

    return register


def full_name(served: type[nn.Module]) -> str:
    """``package.module.Class``."""
    return f"{served.__module__}.{served.__qualname__}"


def adapter_of(module: nn.Module) -> Adapter | None:
    """The adapter of a module's class, or of a base class whose forward it keeps."""
    forward = getattr(type(module), "forward", None)  # a scripted module's class has none
    for base in type(module).__mro__:
        if getattr(base, "forward", forward) is not forward:
            return None
        if full_name(base) in _ADAPTERS:
            return _ADAPTERS[full_name(base)]
    return None
