"""How attentions, blocks and their children may be named and called: dots, wrappers, keywords."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm import apply_fdam, register_adapter, remove_fdam
from fdam_mm.errors import ForwardError, UnservedError
from fdam_mm.inject import AttentionAdapter, BlockAdapter, Site


class InnerAttention(nn.Module):
    """As in transformers: projections in one child, the output in another, keywords all along."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, hidden_states: Tensor, scale: float = 1.0) -> Tensor:
        q, v = self.query(input=hidden_states), self.value(input=hidden_states)
        q, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in (q, v))
        y = F.scaled_dot_product_attention(query=q, key=q * scale, value=v)
        return y.transpose(1, 2).flatten(2)


class Output(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)

    def forward(self, residual: Tensor, hidden_states: Tensor) -> Tensor:
        return residual + self.dense(input=hidden_states)


class Layered(nn.Module):
    """The attention of two children; ``mask`` stands before ``hidden_states`` in its calls."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention, self.output = InnerAttention(dim), Output(dim)

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.attention(hidden_states=hidden_states)
        return self.output.dense(input=y)


class Layer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(dim), Layered(dim)
        self.mlp = nn.ModuleDict(dict(fc1=nn.Linear(dim, dim), fc2=nn.Linear(dim, dim)))

    def forward(self, hidden_states: Tensor, mask: Tensor | None = None, hw: Any = None) -> Tensor:
        normed = self.norm(input=hidden_states)
        x = hidden_states + self.attn(mask=mask, hidden_states=normed)
        return x + self.mlp.fc2(input=self.mlp.fc1(input=x).relu())


@register_adapter(Layered)
class LayeredAdapter(AttentionAdapter):
    values, projection = "attention.value", "output.dense"

    def __init__(self, attn: nn.Module) -> None:
        self.dim, self.num_heads = 32, 4

    def v(self, call: Any) -> Tensor:
        return call.captured


@register_adapter(Layer)
class LayerAdapter(BlockAdapter):
    sites = (Site("attn.output.dense", "output", "tokens"), Site("mlp.fc2", "input", "tokens"))

    def __init__(self, block: nn.Module, parents: Any) -> None:
        self.dim = 32

    def hw(self, args: tuple[Any, ...]) -> tuple[int, int]:
        return args[2]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(32) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(hw=(4, 6), hidden_states=x)
        return x


def _applied() -> Model:
    torch.manual_seed(0)
    model = Model().eval()
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma", "bases")):
            nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(1))


def _linear(linear: nn.Linear, x: Tensor) -> Tensor:
    """Without the hooks."""
    return F.linear(x, linear.weight, linear.bias)


def _by_hand(model: Model, x: Tensor) -> Tensor:
    for layer in model.layers:
        attn, normed = layer.attn, layer.norm(x)
        q, v = _linear(attn.attention.query, normed), _linear(attn.attention.value, normed)
        heads = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in (q, q, v))
        y = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        y = _linear(attn.output.dense, attn.att_inv(normed, v, y))
        x = x + layer.freq_scale_1(y, (4, 6))
        hidden = layer.freq_scale_2(_linear(layer.mlp.fc1, x).relu(), (4, 6))
        x = x + _linear(layer.mlp.fc2, hidden)
    return x


def test_keywords_and_dots(x: Tensor) -> None:
    model = _applied()
    with torch.no_grad():
        expected = _by_hand(model, x)
        torch.testing.assert_close(model(x), expected)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            torch.testing.assert_close(twin(x), expected)
        mask = torch.zeros(3)
        by_position = model.layers[1](model.layers[0](x, mask, (4, 6)), None, hw=(4, 6))
        torch.testing.assert_close(by_position, expected)
    plain = copy.deepcopy(model)
    remove_fdam(plain)
    assert (plain(x) - expected).abs().max() > 0.1


def test_gradients_reach_all_layers(x: Tensor) -> None:
    model = _applied()
    model(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_compiles_without_a_graph_break(x: Tensor) -> None:
    model = _applied()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))


class Wrapper(nn.Module):
    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base = base

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.base(*args, **kwargs)


class Doubled(Wrapper):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * self.base(input)


def test_children_of_children_that_are_replaced(x: Tensor) -> None:
    model = _applied()
    expected = copy.deepcopy(model)
    for layer, twin in zip(model.layers, expected.layers, strict=True):
        for parent, name in ((layer.attn.output, "dense"), (layer.attn.attention, "value")):
            setattr(parent, name, Doubled(getattr(parent, name)))
        for linear in (twin.attn.output.dense, twin.attn.attention.value):
            linear.weight.data *= 2
            linear.bias.data *= 2
    torch.testing.assert_close(model(x), expected(x))


def test_a_child_around_them_that_is_wrapped(x: Tensor) -> None:
    """``attention.value`` is found in the wrapper around ``attention``."""
    model = _applied()
    expected = model(x)
    for layer in model.layers:
        layer.attn.attention = Wrapper(layer.attn.attention)
    assert torch.equal(model(x), expected)
    assert torch.equal(copy.deepcopy(model)(x), expected)
    remove_fdam(model)
    assert model(x).isfinite().all()


def test_a_child_that_is_gone() -> None:
    model = _applied()
    del model.layers[0].mlp["fc2"]
    with pytest.raises(ForwardError, match=r"Layer has no child 'mlp\.fc2' any more"):
        model(torch.zeros(1, 24, 32))
    with pytest.raises(UnservedError, match=r"expects a child mlp\.fc2"):
        broken = Model()
        del broken.layers[1].mlp["fc2"]
        apply_fdam(broken)


class Catching(nn.Module):
    """Takes what it is given, as wrappers do; the adapter says how its input is called."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        x = args[0] if args else kwargs["x"]
        return self.proj(self.qkv(x).chunk(3, -1)[2] * kwargs["factor"])


@register_adapter(Catching)
class CatchingAdapter(AttentionAdapter):
    def __init__(self, attn: nn.Module) -> None:
        self.dim, self.num_heads = 32, 4

    def x(self, call: Any) -> Tensor:
        assert set(call.kwargs) >= {"factor"}
        return call.argument(0, "x")


def test_an_adapter_sees_all_arguments(x: Tensor) -> None:
    attn, seen = Catching(), []
    apply_fdam(attn, freq_scale=False)
    attn.att_inv.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    factor = torch.ones(1, 1, 32)
    attn(factor=factor, x=x), attn(x, factor=factor)
    assert all(torch.equal(given, x) for given in seen) and len(seen) == 2


def test_a_call_without_what_an_adapter_needs() -> None:
    call = LayeredAdapter.x.__globals__["Call"](Layered(32), (1,), None, {"a": 2}, ("x", "mask"))
    assert call.argument(0) == 1
    with pytest.raises(ForwardError, match="Layered was called without argument 1"):
        call.argument(1)


@pytest.mark.parametrize("name", ["pvt_v2", "twins svt", "swin", "davit", "vit", "hiera"])
def test_blocks_of_timm_by_keyword(name: str) -> None:
    """The shipped adapters serve keyword calls of attentions and blocks with the same numbers."""
    pytest.importorskip("timm")
    from support.timm_models import CASES, let_everything_count, random_image

    model, image = CASES[name].build().eval(), random_image(CASES[name].size)
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))
    let_everything_count(model)
    with torch.no_grad():
        expected = model(image)
        for module in list(model.modules()):
            if hasattr(module, "att_inv") or hasattr(module, "freq_scale_1"):
                _call_by_keyword(module)
        assert torch.equal(model(image), expected)


def _call_by_keyword(module: nn.Module) -> None:
    """Its callers still give positions; what it gets is keywords alone."""
    import inspect

    names = list(inspect.signature(type(module).forward).parameters)[1:]

    class Keywords(type(module)):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            given = dict(zip(names, args, strict=False)) | kwargs
            return super().__call__(**dict(reversed(given.items())))

    module.__class__ = Keywords
