"""The families of stages among the tools that change their linears, copy them and keep them."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import safetensors.torch
import torch
from support.golden import relative_error
from support.staged_families import FAMILIES
from support.wrapped_linears import hooked, linears, lora, parametrized, wrap_linears
from torch import Tensor, nn

from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import backbones

BOTH = dict(att_inv=True, freq_scale=dict(mlp_ratio=1))
Case = tuple[nn.Module, Tensor]
# Eight bits leave as much, halved by each further one and without FDAM too: its gated MLPs are
# normed, so that what its blocks add is not small at the start as it is in the others.
QUANTISED = {"AttNet": 0.25}
TESTED_ELSEWHERE = {"FDAMMixVisionTransformer", "FDAMVisionTransformer", "LSKNet"}


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest) -> Case:
    """A model in evaluation mode with weights of ordinary size, and two pictures."""
    backbone, settings = FAMILIES[request.param]
    torch.manual_seed(0)
    model = backbone(**settings, fdam=BOTH).eval()
    for module in model.modules():
        if isinstance(module, AttInv | FreqScale):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
    return model, torch.randn(2, 3, 64, 96)


def _errors(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> list[float]:
    return [relative_error(a, b) for a, b in zip(ours, theirs, strict=True)]


def test_every_backbone_has_a_case() -> None:
    named = {backbone.__name__ for backbone, _ in FAMILIES.values()} | TESTED_ELSEWHERE
    assert named == set(backbones.__all__) - {"FDAMTimmBackbone"}


def test_quantize_dynamic(case: Case) -> None:
    model, x = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(deepcopy(model), {nn.Linear})
    assert not list(linears(quantised))
    assert max(_errors(quantised(x), model(x))) < QUANTISED.get(type(model).__name__, 0.02)


@pytest.mark.parametrize("wrap", [lora, parametrized, hooked])
def test_wrapped_linears(case: Case, wrap: Callable) -> None:
    """A wrapper around every linear computes what the merged weights do."""
    model, x = case
    wrapped, merged = wrap_linears(model, wrap)
    assert max(_errors(wrapped(x), merged(x))) < 1e-3


def test_peft(case: Case) -> None:
    """LoRA on every linear: all of it learns, and merged it computes the same."""
    peft = pytest.importorskip("peft")
    model, x = deepcopy(case[0]), case[1]
    names = [name for name, module in model.named_modules() if type(module) is nn.Linear]
    config = peft.LoraConfig(r=2, target_modules=names, init_lora_weights=False)
    model = peft.inject_adapter_in_model(config, model)
    outs = model(x)
    sum(out.square().mean() for out in outs).backward()
    learn = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(learn) == 2 * len(names) and all(p.grad is not None for p in learn.values())
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer):
                module.merge()
    assert max(_errors(model(x), outs)) < 1e-3


def test_copied_and_kept(case: Case, tmp_path: Path) -> None:
    model, x = case
    expected = model(x)
    assert max(_errors(deepcopy(model)(x), expected)) == 0
    safetensors.torch.save_file(model.state_dict(), tmp_path / "a.safetensors")
    torch.save(model.state_dict(), tmp_path / "a.pth")
    for state in (
        safetensors.torch.load_file(tmp_path / "a.safetensors"),
        torch.load(tmp_path / "a.pth", weights_only=True),
    ):
        other = deepcopy(model)
        for parameter in other.parameters():
            nn.init.zeros_(parameter)
        other.load_state_dict(state)
        assert max(_errors(other(x), expected)) == 0


def test_hooks_see_every_linear(case: Case) -> None:
    """And change nothing, be there one or none."""
    model, x = deepcopy(case[0]), case[1]
    expected, seen = model(x), set()
    names = {module: name for name, module in model.named_modules()}
    for _, _, linear in linears(model):
        linear.register_forward_hook(lambda module, *_: seen.add(names[module]))
    assert max(_errors(model(x), expected)) < 1e-4
    assert seen == {names[linear] for _, _, linear in linears(model)}
