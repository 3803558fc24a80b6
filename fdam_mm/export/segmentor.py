"""The module that is exported: a segmentor, with what stands before and after it inside."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.runtime.description import Description, Size


class RawSegmentor(nn.Module):
    """Normalised (B, 3, H, W) -> logits (B, C, H, W), as mmseg's ``encode_decode``.

    Args:
        model: A segmentor of mmseg.
        probes: Names of modules inside whose first results are given too, in this order.
    """

    def __init__(self, model: nn.Module, probes: Sequence[str] = ()) -> None:
        super().__init__()
        self.model = model
        self._probes = tuple(probes)

    @property
    def outputs(self) -> list[str]:
        """Names of the results."""
        return ["logits", *(f"probe_{index}" for index in range(len(self._probes)))]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found: dict[str, Tensor] = {}
        logits = self._logits(image, found)
        return logits, *(found[name] for name in self._probes)

    def _logits(self, x: Tensor, found: dict[str, Tensor]) -> Tensor:
        with _probing(self.model, self._probes, found):
            meta = dict(img_shape=x.shape[2:], ori_shape=x.shape[2:], pad_shape=x.shape[2:])
            model: Any = self.model
            return model.encode_decode(x, [meta])


class Segmentor(RawSegmentor):
    """Pictures (B, h, w, 3) uint8 BGR -> labels (B, h, w) and logits (B, C, h, w).

    With a ``size`` the model inside computes at that size alone: a picture is resized to fit into
    it, as the config resizes (or not at all where it predicts windows), and padded at the right
    and at the bottom. Without one it is resized as the config does.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, about: Description, size: Size | None, probes: Sequence[str] = ()
    ) -> None:
        super().__init__(model, probes)
        self._about, self._size = about, size
        self.register_buffer("mean", torch.tensor(about.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(about.std).view(-1, 1, 1))

    @property
    def outputs(self) -> list[str]:
        return ["labels", *super().outputs]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found: dict[str, Tensor] = {}
        size = image.shape[1], image.shape[2]
        fitted = self._fitted(*size)
        x = image.permute(0, 3, 1, 2).float()
        if fitted is not size:
            x = F.interpolate(x, fitted, mode="bilinear", align_corners=False)
        x = (x.flip(1) if self._about.bgr_to_rgb else x).sub(self.mean).div(self.std)
        if self._size is not None:
            x = F.pad(x, (0, self._size[1] - fitted[1], 0, self._size[0] - fitted[0]))
        logits = self._logits(x, found)
        if self._size is not None:
            logits = logits[:, :, : fitted[0], : fitted[1]]
        if fitted is not size:
            align = self._about.align_corners
            logits = F.interpolate(logits, size, mode="bilinear", align_corners=align)
        return self._decide(logits), logits, *(found[name] for name in self._probes)

    def _fitted(self, height: int, width: int) -> Size:
        """What a picture is resized to; sides may be symbols, so all of it is of whole numbers."""
        about, size = self._about, self._size
        if about.stride is not None or (size is None and about.scale is None):
            return height, width
        if size is not None:
            if about.scale is not None and not about.keep_ratio:
                return size
            return within(height, width, *size)
        assert about.scale is not None
        if not about.keep_ratio:
            return about.scale[1], about.scale[0]
        long, short = torch.sym_max(height, width), torch.sym_min(height, width)
        bounds = (max(about.scale), long), (min(about.scale), short)
        return _least(height, bounds), _least(width, bounds)

    def _decide(self, logits: Tensor) -> Tensor:
        kind = torch.uint8 if len(self._about.classes) <= 256 else torch.int32
        if self._about.threshold is None:
            return logits.argmax(1).to(kind)
        return (logits[:, 0].sigmoid() > self._about.threshold).to(kind)


def within(height: int, width: int, bound_h: int, bound_w: int) -> Size:
    """The largest size of this ratio within the bounds."""
    bounds = (bound_h, height), (bound_w, width)
    return _least(height, bounds), _least(width, bounds)


def _least(side: int, factors: tuple[tuple[int, int], ...]) -> int:
    """``side`` times the least of the fractions, rounded as mmcv does, and at least 1."""
    rounded = ((2 * side * a + b) // (2 * b) for a, b in factors)
    return torch.sym_max(1, torch.sym_min(*rounded))


class _probing:
    """Within it, ``found`` gets the first result of each of the named modules."""

    def __init__(self, model: nn.Module, names: Sequence[str], found: dict[str, Tensor]) -> None:
        self._modules = {name: model.get_submodule(name) for name in names}
        self._found = found

    def __enter__(self) -> None:
        self._hooks = [
            module.register_forward_hook(lambda _, __, out, name=name: self._keep(name, out))
            for name, module in self._modules.items()
        ]

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, name: str, out: Any) -> None:
        self._found[name] = first_tensor(out)


def first_tensor(out: Any) -> Any:
    """Of a module's result; None where there is none."""
    while isinstance(out, list | tuple) and out:
        out = out[0]
    return out if isinstance(out, Tensor) else None


def parts(model: nn.Module, core: RawSegmentor, image: Tensor) -> list[str]:
    """Names of the stages and blocks of a segmentor, in the order in which they end.

    That is: its own children, and the members of lists of modules, that give a map of numbers.
    """
    lists = {n for n, m in model.named_modules() if isinstance(m, nn.ModuleList | nn.Sequential)}
    names = [n for n, m in model.named_modules() if n and _is_part(n, m, lists)]
    order: list[str] = []

    def keep(name: str, out: Any) -> None:
        tensor = first_tensor(out)
        if tensor is not None and tensor.is_floating_point() and name not in order:
            order.append(name)

    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: keep(name, out)
        )
        for name in names
    ]
    try:
        with torch.no_grad():
            core(image)
    finally:
        for hook in hooks:
            hook.remove()
    return order


def _is_part(name: str, module: nn.Module, lists: set[str]) -> bool:
    parent = name.rpartition(".")[0]
    return not parent or (parent in lists and any(True for _ in module.children()))
