"""What every adapter must hold, on a small model of any library.

A test file has its cases and runs every function of ``CHECKS`` on each.
"""

import copy
import math
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm import apply_fdam, remove_fdam
from fdam_mm.layers import AttInv, FreqScale

_SCALES = ("gamma_1", "gamma_2", "gamma", "lambda1", "lambda_1", "lambda_2", "layer_scale")
_SCALES += ("layer_scale_parameter",)
_WIDE = dict(mlp_ratio=1.0)  # at small widths the default leaves one hidden channel, often dead


@dataclass(frozen=True)
class Case:
    """A small model and what it must get.

    Attributes:
        build: Makes the model, plain.
        att_inv: Layers that it must get.
        freq_scale: Likewise.
        size: Height and width of a picture.
        odd_size: Another, not square, where the model takes it.
        run: From the model and a picture to the tensor to compare.
        strides: Of the grids that FreqScale may see, rounded down or up.
        apply: Arguments of ``apply_fdam``.
        skipped: Attentions that take no AttInv.
        export: ``torch.export`` takes the plain model.
        quick_export: Try that in every run, not in the long one alone.
        reduced: AttInvs whose values are not those that ``y`` averages.
    """

    build: Callable[[], nn.Module]
    att_inv: int
    freq_scale: int
    size: tuple[int, int] = (64, 64)
    odd_size: tuple[int, int] | None = None
    run: Callable[[nn.Module, Tensor], Tensor] = lambda model, image: model(image)
    strides: Sequence[int] = (4, 8, 16, 32)
    apply: dict[str, Any] = field(default_factory=dict)
    skipped: int = 0
    export: bool = True
    quick_export: bool = False
    reduced: int = 0

    def plain(self) -> nn.Module:
        torch.manual_seed(0)
        model = self.build()
        model.eval()  # mmseg's returns nothing
        for name, parameter in model.named_parameters():  # small scales hide what they scale
            if name.endswith(_SCALES):
                nn.init.ones_(parameter)
            elif not parameter.any():
                nn.init.normal_(parameter, std=0.02)
        return model

    def with_fdam(self, loud: bool = True) -> nn.Module:
        model = self.plain()
        apply_fdam(model, **{"freq_scale": _WIDE, **self.apply})
        if loud:
            make_loud(model)
        return model

    def image(self, size: tuple[int, int] | None = None) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        return torch.randn(1, 3, *(size or self.odd_size or self.size), generator=generator)


def make_loud(model: nn.Module) -> None:
    """Undo the start near the identity."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("low_gamma", "high_gamma", "bases")):
                parameter.normal_(std=0.1)
            elif name.endswith("reweight.act.bias"):  # else small maps have little to say
                parameter.fill_(1.0)


def relative_change(after: Tensor, before: Tensor) -> float:
    return ((after - before).norm() / before.norm()).item()


def starts_near_identity_and_keeps_keys(case: Case) -> None:
    model = case.plain()
    keys, weights = set(model.state_dict()), dict(model.named_parameters())
    images = [case.image(size) for size in {case.size, case.odd_size or case.size}]
    with torch.no_grad():
        before = [case.run(model, image) for image in images]
    report = apply_fdam(model, **{"freq_scale": _WIDE, **case.apply})
    with torch.no_grad():
        after = [case.run(model, image) for image in images]
    counts = report.count("AttInv"), report.count("FreqScale"), len(report.skipped)
    assert counts == (case.att_inv, case.freq_scale, case.skipped)
    assert max(map(relative_change, after, before)) < 1e-3
    new = {k: p for k, p in model.named_parameters() if k not in weights}
    assert set(model.state_dict()) - keys == set(new) and keys <= set(model.state_dict())
    assert all(".att_inv." in f".{k}" or ".freq_scale_" in f".{k}" for k in new)
    assert sum(p.numel() for p in new.values()) == report.parameters
    assert case.plain().load_state_dict(model.state_dict(), strict=False).missing_keys == []


def every_added_parameter_learns(case: Case) -> None:
    old = {name for name, _ in case.plain().named_parameters()}
    model = case.with_fdam()
    out = case.run(model, case.image())
    (out * torch.randn_like(out)).sum().backward()
    new = {name: p for name, p in model.named_parameters() if name not in old}
    assert [name for name, p in new.items() if p.grad is None or not p.grad.any()] == []
    assert all(torch.isfinite(p.grad).all() for p in new.values())


def loud_layers_act(case: Case) -> None:
    """Each layer by itself changes the output."""
    model, image = case.with_fdam(loud=False), case.image()
    with torch.no_grad():
        quiet = case.run(model, image)
        for layer in [m for m in model.modules() if isinstance(m, AttInv | FreqScale)]:
            before = copy.deepcopy(layer.state_dict())
            make_loud(layer)
            assert not torch.equal(case.run(model, image), quiet), layer
            layer.load_state_dict(before)


def removal_gives_the_model_back(case: Case) -> None:
    model = case.plain()
    attributes = [_attributes(m) for m in model.modules()]
    with torch.no_grad():
        before = case.run(model, case.image())
        apply_fdam(model, **case.apply)
        make_loud(model)
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model):
            remove_fdam(copied)
            assert torch.equal(case.run(copied, case.image()), before)
            assert [_attributes(m) for m in copied.modules()] == attributes


def _attributes(module: nn.Module) -> tuple[type, set[str], int, int]:
    hooks = len(module._forward_hooks), len(module._forward_pre_hooks)
    return type(module), set(vars(module)), *hooks


def copies_have_their_own_layers(case: Case) -> None:
    model = case.with_fdam()
    with torch.no_grad():
        expected = case.run(model, case.image())
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for layer in (m for m in model.modules() if isinstance(m, AttInv | FreqScale)):
            for parameter in layer.parameters():
                parameter.zero_()
        assert all(torch.equal(case.run(c, case.image()), expected) for c in copies)
        assert not torch.equal(case.run(model, case.image()), expected)


def threads_are_equal(case: Case) -> None:
    model = case.with_fdam()
    sizes = [case.size, case.odd_size or case.size]
    images = [case.image(size) for size in sizes]
    with torch.inference_mode():
        expected = [case.run(model, image) for image in images]
    barrier = threading.Barrier(len(images))

    def job(image: Tensor) -> list[Tensor]:
        barrier.wait()
        with torch.inference_mode():
            return [case.run(model, image) for _ in range(2)]

    with ThreadPoolExecutor(len(images)) as pool:
        results = list(pool.map(job, images))
    for result, right in zip(results, expected, strict=True):
        assert all(torch.equal(one, right) for one in result)


def values_belong_to_the_tokens_of_y(case: Case) -> None:
    """Where every token attends to itself alone, y is v."""
    if not case.att_inv:
        return
    model = case.plain()
    apply_fdam(model, **{**case.apply, "freq_scale": False})
    differences = []

    def compare(_: nn.Module, args: tuple[Tensor, Tensor, Tensor]) -> None:
        x, v, y = args
        assert x.shape == v.shape == y.shape
        differences.append((v - y).abs().max().item())

    for layer in (m for m in model.modules() if isinstance(m, AttInv)):
        layer.register_forward_pre_hook(compare)
    with torch.no_grad(), attending_to_itself():
        case.run(model, case.image())
    assert len(differences) == case.att_inv
    assert sum(d < 1e-5 for d in differences) >= case.att_inv - case.reduced


@contextmanager
def attending_to_itself() -> Iterator[None]:
    """Within it, softmax and fused attention give each query its own key."""

    def softmax(scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return torch.eye(*scores.shape[-2:], dtype=scores.dtype).expand_as(scores).clone()

    def fused(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return softmax(query @ key.transpose(-2, -1)) @ value

    with (
        mock.patch.object(F, "softmax", softmax),
        mock.patch.object(F, "scaled_dot_product_attention", fused),
        mock.patch.object(torch, "softmax", softmax),
        mock.patch.object(Tensor, "softmax", softmax),
    ):
        yield


def freq_scale_sees_the_whole_map(case: Case) -> None:
    model = case.plain()
    apply_fdam(model, **{**case.apply, "att_inv": False})
    grids = []

    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        grids.append(tuple(kwargs.get("hw") or (args[1] if len(args) > 1 else args[0].shape[-2:])))

    for layer in (m for m in model.modules() if isinstance(m, FreqScale)):
        layer.register_forward_pre_hook(record, with_kwargs=True)
    with torch.no_grad():
        case.run(model, case.image())
    size = case.odd_size or case.size
    rounded = [
        {tuple(rounding(side / s) for side in size) for s in case.strides}
        for rounding in (math.floor, math.ceil)
    ]
    assert set(grids) <= rounded[0] or set(grids) <= rounded[1], grids


class _Wrapped(nn.Module):
    def __init__(self, case: Case, model: nn.Module) -> None:
        super().__init__()
        self.case_run, self.model = case.run, model

    def forward(self, image: Tensor) -> Tensor:
        return self.case_run(self.model, image)


def exports_as_the_plain_model(case: Case) -> None:
    if not case.export:
        return
    model = _Wrapped(case, case.with_fdam().requires_grad_(False))
    image = case.image()
    exported = torch.export.export(model, (image,), strict=False).module()
    assert relative_change(exported(image), model(image)) < 1e-4


CHECKS = (
    starts_near_identity_and_keeps_keys,
    every_added_parameter_learns,
    loud_layers_act,
    removal_gives_the_model_back,
    copies_have_their_own_layers,
    threads_are_equal,
    values_belong_to_the_tokens_of_y,
    freq_scale_sees_the_whole_map,
    exports_as_the_plain_model,
)


def checked(cases: dict[str, Case]) -> Callable:
    """Decorator: the test gets every case with every check; most exports are slow ones."""
    params = []
    for name, case in cases.items():
        for check in CHECKS:
            slow = check is exports_as_the_plain_model and not case.quick_export
            marks = [pytest.mark.slow] if slow else []
            params.append(pytest.param(case, check, marks=marks, id=f"{name}-{check.__name__}"))
    return pytest.mark.parametrize("case, check", params)
