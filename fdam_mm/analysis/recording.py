"""What passes through a model's layers: their maps, and the queries and keys of their attentions.

Nothing of the model is changed: hooks and torch's function modes look on, and are gone afterwards.

Legend of the shape comments: B batch, h heads, N tokens, P prefix tokens, C channels, H x W grid.
"""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fdam_mm.layers import AttInv, FreqScale

_MOST_PREFIX_TOKENS = 16  # class, distillation and register tokens


class Attended(NamedTuple):
    """One attention, as it was called."""

    query: Tensor  # (B, h, N, d)
    key: Tensor  # (B, h, M, d)
    scale: float | None  # None is 1 / sqrt(d)
    bias: Tensor | None  # added, or a boolean mask


class Inverted(NamedTuple):
    """What AttInv got beside an attention."""

    layer: AttInv
    x: Tensor  # (B, N, C), the attention's normed input


class GridFinder:
    """The grids on which a model has worked in a forward: the sizes of its convolutions' maps."""

    def __init__(self) -> None:
        self.grids: list[tuple[int, int]] = []  # the last one last

    def record(self, module: nn.Module, args: Any, output: Any) -> None:
        """Forward hook of a convolution."""
        if isinstance(output, Tensor) and output.ndim == 4:
            self.see((int(output.shape[2]), int(output.shape[3])))

    def see(self, grid: tuple[int, int]) -> None:
        if grid in self.grids:
            self.grids.remove(grid)
        self.grids.append(grid)

    def split(self, num_tokens: int) -> tuple[tuple[int, int], int] | None:
        """The grid of so many tokens and how many come before it; None where no grid fits.

        Of grids that fit without a rest the last one seen, else the one with the fewest tokens
        before it.
        """
        rests = [(num_tokens - h * w, -index) for index, (h, w) in enumerate(self.grids)]
        fitting = [rest for rest in rests if 0 <= rest[0] <= _MOST_PREFIX_TOKENS]
        if not fitting:
            return None
        rest, index = min(fitting)
        return self.grids[-index], rest

    def as_map(self, output: Any) -> Tensor | None:
        """What a layer returned, as (B, C, H, W); None where it is no map that can be told.

        Tokens (B, P + N, C), maps with their channels first or last, and the first of several
        outputs.
        """
        while isinstance(output, tuple | list) and output:
            output = output[0]
        if not isinstance(output, Tensor):
            output = getattr(output, "last_hidden_state", None)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        if output.ndim == 4:
            last = (int(output.shape[1]), int(output.shape[2])) in self.grids
            first = (int(output.shape[2]), int(output.shape[3])) in self.grids
            return output.movedim(-1, 1) if last and not first else output
        found = self.split(int(output.shape[1])) if output.ndim == 3 else None
        if found is None:
            return None
        hw, prefix = found
        return output[:, prefix:].mT.unflatten(-1, hw)


class Watcher:
    """What is told of a forward; a subclass keeps what it needs. Tensors are detached."""

    def on_map(self, layer: str, features: Tensor) -> None:
        """The output of a layer, (B, C, H, W); layers without a map are passed over."""

    def on_attention(self, layer: str, attended: Attended, inverted: Inverted | None) -> None:
        """An attention within a layer, with AttInv where it has one.

        Of one that is not fused, ``softmax(x)`` of (B, h, N, M), x is given as the bias beside a
        query and a key of zeros.
        """

    def on_freq_scale(self, layer: str, name: str, scale: FreqScale, features: Tensor) -> None:
        """What enters a FreqScale of a layer, called ``name`` in it, (B, C, H, W)."""


@contextmanager
def recording(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    watcher: Watcher,
    attentions: bool = True,
) -> Iterator[GridFinder]:
    """While it is open, forwards of ``model`` tell ``watcher`` what passes through ``layers``.

    Args:
        model: Any; its convolutions tell the grids.
        layers: By name, as :func:`.layers.layers_of` gives them.
        watcher: As above.
        attentions: Also tell of attentions and of FDAM's layers.
    """
    grids = GridFinder()
    calls = _Calls(watcher, grids)
    with ExitStack() as undo:
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                undo.callback(module.register_forward_hook(grids.record).remove)
            elif attentions and isinstance(module, AttInv):
                undo.callback(module.register_forward_pre_hook(calls.invert).remove)
            elif attentions and isinstance(module, FreqScale):
                hook = partial(calls.scale, name.rpartition(".")[2])
                undo.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        for name, layer in layers.items():
            undo.callback(layer.register_forward_pre_hook(partial(calls.enter, name)).remove)
            leave = layer.register_forward_hook(calls.leave, always_call=True)
            undo.callback(leave.remove)
        if attentions:
            undo.enter_context(_Attentions(calls))
        yield grids


class _Calls:
    """The layers that are open, innermost last, and the attention that may still meet AttInv."""

    def __init__(self, watcher: Watcher, grids: GridFinder) -> None:
        self.watcher, self.grids = watcher, grids
        self.open: list[str] = []
        self.attended: Attended | None = None

    def enter(self, name: str, module: nn.Module, args: Any) -> None:
        self.open.append(name)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._tell(None)
        name = self.open.pop()
        features = self.grids.as_map(output)
        if features is not None:
            self.watcher.on_map(name, features.detach())

    def attend(self, attended: Attended) -> None:
        self._tell(None)
        self.attended = attended

    def invert(self, layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Pre-hook of AttInv."""
        x = args[0].detach()
        self._tell(Inverted(layer, x.flatten(1, -2)))  # type: ignore[arg-type]

    def scale(self, name: str, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        """Pre-hook of FreqScale."""
        bound = inspect.signature(FreqScale.forward).bind(module, *args, **kwargs)
        bound.apply_defaults()
        x, hw, prefix = (bound.arguments[key] for key in ("x", "hw", "num_prefix_tokens"))
        features = x if hw is None else x[:, prefix:].mT.unflatten(-1, hw)
        if self.open:
            self.watcher.on_freq_scale(self.open[-1], name, module, features.detach())  # type: ignore[arg-type]

    def _tell(self, inverted: Inverted | None) -> None:
        attended, self.attended = self.attended, None
        if attended is not None and self.open:
            self.watcher.on_attention(self.open[-1], attended, inverted)


class _Attentions(TorchFunctionMode):
    """Looks on at calls of fused attention and of softmax over keys."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self.calls = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.calls.open and func is F.scaled_dot_product_attention:
            self._fused(*args, **kwargs)
        elif self.calls.open and func in (torch.softmax, Tensor.softmax, F.softmax):
            self._plain(*args, **kwargs)
        return func(*args, **kwargs)

    def _fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> None:
        if query.ndim == 4 and not is_causal:
            self.calls.attend(Attended(query.detach(), key.detach(), scale, attn_mask))

    def _plain(self, logits: Tensor, *args: Any, **kwargs: Any) -> None:
        dim = args[0] if args else kwargs.get("dim")
        if logits.ndim != 4 or dim not in (-1, 3):
            return
        empty = logits.new_zeros(*logits.shape[:-1], 1)
        keys = logits.new_zeros(*logits.shape[:2], logits.shape[-1], 1)
        self.calls.attend(Attended(empty, keys, 1.0, logits.detach()))
