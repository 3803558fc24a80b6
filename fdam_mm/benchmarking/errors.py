"""Errors of 16 bits: the layers, and backbones plain and with FDAM, against float64.

FDAM's parameters are drawn, as at the start they hardly show. Weights are in float32 and autocast
chooses what is computed in 16 bits, as in a training with ``--amp``.
"""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fdam_mm.layers import AttInv, AttInvAttention, FreqScale

from .results import Cases, Measurement

DTYPES = ("float32", "bfloat16", "float16")
Forward = Callable[[nn.Module, Tensor], Any]
Subject = tuple[nn.Module, Tensor, Forward]


def bench_errors(device: str) -> list[Measurement]:
    """A measurement per subject with a case per type: relative errors (norm of the difference over
    the norm) of the output, of all gradients together, and of those of FDAM's parameters, if there
    are any."""
    torch.manual_seed(0)
    return [
        Measurement(dict(subject=name), partial(_cases, name, subject, device))
        for name, subject in subjects().items()
    ]


def _cases(name: str, subject: Subject, device: str) -> Cases:
    return [
        dict(subject=name, dtype=dtype, errors=errors)
        for dtype, errors in zip(DTYPES, errors_of(subject, device), strict=True)
    ]


def subjects() -> dict[str, Subject]:
    """Name -> a module, its input and how to call it; small enough for float64 on a CPU."""
    found: dict[str, Subject] = {}
    for side in (14, 32):
        size = f"dim 64, {side} x {side} tokens"
        tokens = torch.randn(2, side * side, 64) + torch.randn(64)  # means, as features have
        attention = AttInvAttention(64, 2, qkv_bias=True)
        found[f"attention with AttInv, {size}"] = attention, tokens, _call
        found[f"FreqScale, {size}"] = FreqScale(64), tokens, _call_on_grid
    for family, build in _BACKBONES.items():
        for variant, name in _NAMES.items():
            image = torch.randn(1, 3, 96, 96)
            found[f"{family}, 96 x 96 pixels, {name}"] = build(variant), image, _call
    for module, *_ in found.values():
        _draw_fdam(module)
        module.eval()  # no drop path, and batch norms with what they hold
    return found


_NAMES = dict(plain="plain", fdam="with FDAM")


def _call(module: nn.Module, x: Tensor) -> Any:
    return module(x)


def _call_on_grid(module: nn.Module, x: Tensor) -> Any:
    """Under autocast with tokens in 16 bits, as a linear before would give them."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    side = math.isqrt(x.shape[1])
    return module(x, hw=(side, side))


def _vit(variant: str) -> nn.Module:
    from fdam_mm.models import FDAMVisionTransformer

    sizes = dict(img_size=96, patch_size=8, embed_dims=96, num_layers=6, num_heads=3)
    return FDAMVisionTransformer(**sizes, out_indices=(2, 5), fdam=_fdam(variant))


def _mit(variant: str) -> nn.Module:
    from fdam_mm.models import FDAMMixVisionTransformer

    sizes = dict(embed_dims=32, num_layers=(2, 2, 2, 2), num_heads=(1, 2, 5, 8))
    return FDAMMixVisionTransformer(**sizes, fdam=_fdam(variant))


def _lsknet(variant: str) -> nn.Module:
    from fdam_mm.models import LSKNet

    sizes = dict(embed_dims=(32, 64, 160, 256), depths=(2, 2, 2, 2), mlp_ratios=(4, 4, 4, 4))
    return LSKNet(**sizes, norm_cfg=dict(type="BN"), fdam=_fdam(variant))


_BACKBONES = {"ViT of 6 blocks": _vit, "MiT-B0": _mit, "LSKNet": _lsknet}


def _fdam(variant: str) -> dict[str, Any] | None:
    return dict(att_inv=True, freq_scale=True) if variant == "fdam" else None


def _draw_fdam(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, AttInv):
            for name, parameter in layer.named_parameters(recurse=False):
                if name.endswith("gamma"):
                    nn.init.normal_(parameter, std=0.5)
        elif isinstance(layer, FreqScale):
            nn.init.normal_(layer.bases, std=0.5)


def errors_of(subject: Subject, device: str) -> Iterator[dict[str, float]]:
    """The errors in each of DTYPES on ``device``, against float64 on the CPU."""
    module, x, call = subject
    exact = copy.deepcopy(module).double()
    expected = _results(exact, x.double(), call, "float32")
    module, x = module.to(device), x.to(device)
    for dtype in DTYPES:
        found = _results(module, x, call, dtype)
        yield {
            kind: float(f"{_relative_error(found[kind], expected[kind]):.3g}")
            for kind in ("output", "gradients", "gradients of FDAM")
            if expected[kind]
        }


def _results(module: nn.Module, x: Tensor, call: Forward, dtype: str) -> dict[str, list[Tensor]]:
    """Outputs and gradients of a random weighting of them, in float64 on the CPU."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    low = dtype != "float32"
    with torch.autocast(x.device.type, getattr(torch, dtype) if low else None, enabled=low):
        out = call(module, x)
    outs = [out] if isinstance(out, Tensor) else list(out)
    draw = torch.Generator().manual_seed(1)
    weights = [torch.randn(o.shape, generator=draw, dtype=torch.float64).to(o) for o in outs]
    torch.autograd.backward(outs, weights)
    layers = (m for m in module.modules() if isinstance(m, AttInv | FreqScale))
    ours = nn.ModuleList(layers).parameters()
    found = {
        "output": outs,
        "gradients": [x.grad, *(p.grad for p in module.parameters())],
        "gradients of FDAM": [p.grad for p in ours],
    }
    return {
        kind: [t.detach().double().cpu() for t in given if t is not None]
        for kind, given in found.items()
    }


def _relative_error(found: list[Tensor], expected: list[Tensor]) -> float:
    """The norm of all differences over the norm of all that is expected."""
    pairs = zip(found, expected, strict=True)
    wrong = sum((a - b).square().sum().item() for a, b in pairs)
    return math.sqrt(wrong / sum(b.square().sum().item() for b in expected))
