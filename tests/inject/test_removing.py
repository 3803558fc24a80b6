"""remove_fdam: the model as it was, whatever happened in between."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fdam_mm import apply_fdam, remove_fdam
from fdam_mm.errors import UsageError
from fdam_mm.layers import AttInv, FreqScale

timm = pytest.importorskip("timm")
from support.timm_models import CASES, Case, let_everything_count, random_image  # noqa: E402


def _hooks(model: nn.Module) -> list[object]:
    """All that any kind of hook has registered."""
    return [
        entry
        for module in model.modules()
        for attribute, hooks in vars(module).items()
        if "_hooks" in attribute and hooks
        for entry in hooks
    ]


def _attributes(model: nn.Module) -> dict[str, dict[str, object]]:
    """Plain attributes of all modules."""
    plain = (bool, int, float, str, tuple, type(None))
    return {
        name: {k: v for k, v in vars(module).items() if isinstance(v, plain)}
        for name, module in model.named_modules()
    }


def _output(model: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        return model(image)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_plain_model_again(case: Case) -> None:
    model, image = case.build().eval(), random_image(case.size)
    expected, before = _output(model, image), pickle.dumps(model)
    keys, hooks, attributes = list(model.state_dict()), _hooks(model), _attributes(model)
    for _ in range(2):  # applying again afterwards works
        apply_fdam(model, **case.apply)
        let_everything_count(model)
        _output(model, image)
        remove_fdam(model)
    model.load_state_dict(pickle.loads(before).state_dict())  # what let_everything_count changed
    assert torch.equal(_output(model, image), expected)
    assert list(model.state_dict()) == keys
    assert _hooks(model) == hooks
    assert _attributes(model) == attributes
    assert len(pickle.dumps(model)) == len(before)


def _vit() -> nn.Module:
    model = CASES["vit"].build().train()
    apply_fdam(model)
    return model


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("name", ["vit", "beit", "hiera"])
def test_copies(name: str, copied: Callable[[nn.Module], nn.Module]) -> None:
    model, image = CASES[name].build().eval(), random_image(CASES[name].size)
    plain = _output(model, image)
    apply_fdam(model)
    let_everything_count(model)
    expected = _output(model, image)
    twin = copied(model)
    remove_fdam(twin)
    assert _hooks(twin) == []
    assert torch.equal(_output(model, image), expected)  # the other is left alone
    remove_fdam(model)
    assert torch.equal(_output(twin, image), _output(model, image))
    if name == "beit":  # which let_everything_count leaves as it was
        assert torch.equal(_output(model, image), plain)


def test_modes_and_what_is_frozen_stay() -> None:
    model = _vit()
    model.blocks[0].eval().requires_grad_(False)
    modes = {n: m.training for n, m in model.named_modules() if "att_inv" not in n}
    frozen = {n: p.requires_grad for n, p in model.named_parameters()}
    remove_fdam(model)
    assert {n: m.training for n, m in model.named_modules()}.items() <= modes.items()
    assert {n: p.requires_grad for n, p in model.named_parameters()}.items() <= frozen.items()


def test_hooks_of_others_stay() -> None:
    model, seen = _vit(), []
    model.blocks[0].register_forward_hook(lambda *_: seen.append(1), always_call=True)
    model.blocks[0].attn.proj.register_forward_pre_hook(lambda *_: seen.append(2))
    remove_fdam(model)
    model(random_image((64, 64)))
    assert sorted(seen) == [1, 2]


class _Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def test_children_that_were_wrapped_replaced_and_taken_out() -> None:
    model, image = CASES["vit"].build().eval(), random_image((64, 64))
    expected = _output(model, image)
    apply_fdam(model)
    attn = model.blocks[0].attn
    attn.qkv, attn.att_inv.high_gate = _Wrapped(attn.qkv), _Wrapped(attn.att_inv.high_gate)
    model.blocks[1].freq_scale_1.reweight = _Wrapped(model.blocks[1].freq_scale_1.reweight)
    proj = model.blocks[1].attn.norm
    model.blocks[1].attn.norm = nn.Identity()  # the hooks have not followed yet
    _output(model.patch_embed, image)
    remove_fdam(model)
    assert _hooks(model) == _hooks(proj) == []
    assert torch.equal(_output(model, image), expected)


def test_a_part_and_a_whole() -> None:
    """From one block alone, then from what is left; and from a part that alone was given FDAM."""
    model, image = CASES["swin"].build().eval(), random_image((64, 64))
    expected = _output(model, image)
    apply_fdam(model)
    remove_fdam(model.layers[0].blocks[0])
    _output(model, image)
    remove_fdam(model)
    assert _hooks(model) == []
    apply_fdam(model.layers[1])
    whole = nn.ModuleDict(dict(model=model))
    remove_fdam(whole)
    assert torch.equal(_output(model, image), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_quantised_model() -> None:
    """Quantisation gives the hooks to the modules that it puts in."""
    model = CASES["vit"].build().eval()
    apply_fdam(model)
    model = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8)
    remove_fdam(model)
    assert _hooks(model) == []
    assert not any(isinstance(m, AttInv | FreqScale) for m in model.modules())
    assert _output(model, random_image((64, 64))).isfinite().all()


@pytest.mark.slow
def test_a_compiled_model_forgets_it_too() -> None:
    model, image = CASES["vit"].build().eval(), random_image((64, 64))
    expected = _output(model, image)
    apply_fdam(model)
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma", "bases")):
            nn.init.normal_(parameter, std=0.1)
    compiled = torch.compile(model, backend="eager")
    assert not torch.allclose(_output(compiled, image), expected)
    remove_fdam(compiled)
    torch.testing.assert_close(_output(compiled, image), expected)


def test_where_there_is_none() -> None:
    model = CASES["vit"].build()
    with pytest.raises(UsageError, match="VisionTransformer has no FDAM that apply_fdam put in"):
        remove_fdam(model)
    apply_fdam(model)
    remove_fdam(model)
    with pytest.raises(UsageError, match="has no FDAM"):
        remove_fdam(model)


def test_what_was_built_with_it_is_refused_and_unchanged() -> None:
    model = _vit()
    model.neck = FreqScale(48)
    keys = list(model.state_dict())
    with pytest.raises(UsageError, match="was built with FDAM, at neck"):
        remove_fdam(model)
    assert list(model.state_dict()) == keys
