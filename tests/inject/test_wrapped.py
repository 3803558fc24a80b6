"""Children that a user wraps, replaces or reparametrises, before ``apply_fdam`` or after it."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from fdam_mm import apply_fdam

timm = pytest.importorskip("timm")
from support.timm_models import CASES, let_everything_count, random_image  # noqa: E402

_NAMES = ("vit", "beit", "eva02, separate qkv, inner norm", "swin", "swinv2", "pvt_v2")
_NAMES += ("pvt_v2 linear", "twins svt", "davit", "convit", "gcvit", "hiera", "maxvit")


class LoRA(nn.Module):
    """A linear of lower rank beside the one that was there; no ``weight``, no ``in_features``."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)
        self.base = base

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))

    def merged(self) -> nn.Linear:
        linear = copy.deepcopy(self.base)
        linear.weight.data += self.up.weight @ self.down.weight
        return linear


def _build(name: str) -> nn.Module:
    return CASES[name].build().eval()


def _apply(model: nn.Module) -> nn.Module:
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))
    torch.manual_seed(3)
    let_everything_count(model)
    return model


def _linears(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Parent and name of the linears in attentions and MLPs that are not FDAM's."""
    return [
        (parent, child)
        for name, parent in list(model.named_modules())
        for child, linear in parent.named_children()
        if type(linear) is nn.Linear and name.split(".")[-1] in ("attn", "mlp")
    ]


def _wrap(model: nn.Module) -> None:
    torch.manual_seed(4)
    for parent, child in _linears(model):
        setattr(parent, child, LoRA(getattr(parent, child)))


def _merge(model: nn.Module) -> nn.Module:
    """The same model in plain linears."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoRA):
                setattr(parent, name, child.merged())
    return model


@pytest.mark.parametrize("name", _NAMES)
def test_lora_is_as_if_merged(name: str) -> None:
    model = _apply(_build(name))
    image = random_image(CASES[name].size)
    plain = _output(model, image)
    _wrap(model)
    wrapped = _output(model, image)
    assert _difference(wrapped, plain) > 1e-2
    twin = copy.deepcopy(model)
    assert _difference(_output(_merge(model), image), wrapped) < 1e-4
    assert torch.equal(_output(twin, image), wrapped)

    if name == "convit":  # its own forward asks the linear for its weight's device
        return
    before = _build(name)
    _wrap(before)
    _apply(before)
    wrapped = _output(before, image)
    assert _difference(_output(_merge(before), image), wrapped) < 1e-4


def _difference(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def _output(model: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        return model(image)


def test_a_whole_sub_layer_is_wrapped() -> None:
    """What the sub-layer adds is what the wrapper returns."""

    class Twice(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) * 2

    model, image = _apply(_build("vit")), random_image((64, 64))
    expected = copy.deepcopy(model)
    for block, twin in zip(model.blocks, expected.blocks, strict=True):
        block.mlp = Twice(block.mlp)
        twin.mlp.fc2.weight.data *= 2
        twin.mlp.fc2.bias.data *= 2
    assert _difference(_output(model, image), _output(expected, image)) < 1e-5


def test_a_new_first_convolution_tells_the_grid() -> None:
    model = _apply(_build("vit"))
    model.patch_embed.proj = nn.Conv2d(4, 48, 16, 16)
    assert _output(model, torch.randn(1, 4, 32, 80)).shape == (1, 5)


def test_values_are_what_all_hooks_make_of_them() -> None:
    model, image = _apply(_build("vit")), random_image((64, 64))
    merged = copy.deepcopy(model)
    for block, twin in zip(model.blocks, merged.blocks, strict=True):
        block.attn.qkv.register_forward_hook(lambda _, args, out: out + args[0].repeat(1, 1, 3))
        twin.attn.qkv.weight.data += torch.eye(48).repeat(3, 1)
    assert _difference(_output(model, image), _output(merged, image)) < 1e-4


@pytest.mark.parametrize("name", ["vit", "beit", "swin", "pvt_v2"])
@pytest.mark.parametrize("way", ["prune", "weight_norm"])
def test_other_weights_are_used(name: str, way: str) -> None:
    model, image = _apply(_build(name)), random_image(CASES[name].size)
    dense = copy.deepcopy(model)
    for (parent, child), (twin, _) in zip(_linears(model), _linears(dense), strict=True):
        linear, other = getattr(parent, child), getattr(twin, child)
        if way == "prune":
            prune.l1_unstructured(linear, "weight", amount=0.5)
            prune.l1_unstructured(other, "weight", amount=0.5)
            prune.remove(other, "weight")
        else:
            parametrizations.weight_norm(linear)
            linear.parametrizations.weight.original0.data *= 2
            other.weight.data *= 2
    assert _difference(_output(model, image), _output(dense, image)) < 1e-5


@pytest.mark.parametrize("name", ["swin", "pvt_v2", "beit"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dynamic_quantisation(name: str) -> None:
    """Of all linears but FDAM's: what is quantised is called, with the hooks once."""
    model, image = _apply(_build(name)), random_image(CASES[name].size)
    linears = {
        n: torch.ao.quantization.default_dynamic_qconfig
        for n, m in model.named_modules()
        if type(m) is nn.Linear and not {"att_inv", "reweight"} & set(n.split("."))
    }
    quantised = torch.ao.quantization.quantize_dynamic(model, linears, torch.qint8)
    assert _difference(_output(quantised, image), _output(model, image)) < 0.1
    calls = []
    for block in (m for m in quantised.modules() if hasattr(m, "att_inv")):
        block.att_inv.register_forward_hook(lambda *_: calls.append(1))
    _output(quantised, image)
    assert len(calls) == CASES[name].att_inv
