"""``apply_fdam`` on torchvision's models, and on the attention of torch that its ViT has."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from support.adapter_checks import Case, checked, relative_change
from torch import Tensor, nn

from fdam_mm import apply_fdam, remove_fdam
from fdam_mm.errors import ForwardError, UnservedError

models = pytest.importorskip("torchvision.models")


def _vit() -> nn.Module:
    return models.VisionTransformer(64, 16, 2, 3, 48, 96, num_classes=5)


def _tokens(model: nn.Module, image: Tensor) -> Tensor:
    """All of them, not the class token alone, which the last FreqScale cannot reach."""
    x = model._process_input(image)
    return model.encoder(torch.cat([model.class_token.expand(len(x), -1, -1), x], dim=1))


def _swin(version: int) -> nn.Module:
    from torchvision.models import swin_transformer as swin

    v2 = dict(block=swin.SwinTransformerBlockV2, downsample_layer=swin.PatchMergingV2)
    return swin.SwinTransformer(
        [4, 4], 24, [2, 1], [2, 4], [4, 4], num_classes=5, **(v2 if version == 2 else {})
    )


def _maxvit() -> nn.Module:
    return models.MaxVit((64, 64), 16, 2, [32, 48], [1, 1], 16, 0.0, num_classes=5)


def _convnext() -> nn.Module:
    from torchvision.models.convnext import CNBlockConfig

    settings = [CNBlockConfig(16, 24, 1), CNBlockConfig(24, None, 1)]
    return models.ConvNeXt(settings, num_classes=5)


CASES = {
    "vit": Case(_vit, 2, 4, run=_tokens),
    "swin": Case(partial(_swin, 1), 3, 6, odd_size=(36, 84), quick_export=True),
    "swinv2": Case(partial(_swin, 2), 3, 6, odd_size=(36, 84)),
    "maxvit": Case(_maxvit, 4, 8),
    "convnext": Case(_convnext, 0, 2, odd_size=(52, 84), apply=dict(att_inv=False)),
}


@checked(CASES)
def test_adapter(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@pytest.mark.parametrize("name", ["swin", "swinv2", "vit"])
def test_rewritten_forwards_are_the_old_ones(name: str) -> None:
    """With both paths off nothing but rounding is left, values and gradients."""
    results = []
    for off in (None, dict(low=False, high=False)):
        model = CASES[name].plain()
        if off:
            apply_fdam(model, att_inv=off, freq_scale=False)
        image = CASES[name].image().requires_grad_()
        out = model(image)
        out.square().sum().backward()
        results.append((out.detach(), image.grad))
    for ours, theirs in zip(*results, strict=True):
        assert relative_change(ours, theirs) < 1e-5


def test_maxvit_partitions_are_put_on_the_map() -> None:
    model = _maxvit()
    apply_fdam(model)
    for block in (m for m in model.modules() if hasattr(m, "partition_op")):
        order = next(iter(block._forward_pre_hooks.values())).__self__.order
        height, width = block.grid_size
        image = torch.randn(1, 3, height, width)
        tokens = block.partition_swap(block.partition_op(image, block.p)).flatten(1, 2)
        assert torch.equal(order.to_map(tokens), image.flatten(2).transpose(1, 2))


class _Block(nn.Module):
    """A block with torch's attention, as an adapter of the tests knows it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(24, 3, **settings)

    def forward(self, *args: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        return self.attn(*args, **kwargs)


@pytest.fixture
def known_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from fdam_mm.inject import BlockAdapter, adapter

    class Known(BlockAdapter):
        sites = ()

        def __init__(self, block: Any, parents: Any) -> None:
            self.dim = 24

    name = adapter.full_name(_Block)
    monkeypatch.setitem(adapter._ADAPTERS, name, Known)


_PADDING = torch.tensor([[False] * 4 + [True], [False] * 5])


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "kwargs",
    [
        dict(),
        dict(need_weights=False),
        dict(average_attn_weights=False),
        dict(attn_mask=torch.ones(5, 5).triu(1).bool(), need_weights=False, is_causal=True),
        dict(attn_mask=torch.randn(6, 5, 5)),
        dict(key_padding_mask=_PADDING),
        dict(key_padding_mask=_PADDING, attn_mask=torch.randn(5, 5), need_weights=False),
    ],
)
@pytest.mark.usefixtures("known_block")
@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_multihead_attention(batch_first: bool, bias: bool, kwargs: dict[str, Any]) -> None:
    block = _Block(batch_first=batch_first, bias=bias)
    same = torch.randn(2, 5, 24) if batch_first else torch.randn(5, 2, 24)
    for inputs in ((same, same, same), (same, same + 1, same)):
        expected = block(*inputs, **kwargs)
        apply_fdam(block, att_inv=dict(low=False, high=False), freq_scale=False)
        for ours, theirs in zip(block(*inputs, **kwargs), expected, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                torch.testing.assert_close(ours, theirs)
        remove_fdam(block)
        assert type(block.attn) is nn.MultiheadAttention


@pytest.mark.usefixtures("known_block")
def test_multihead_attention_with_fewer_keys_projects_the_queries() -> None:
    block = _Block(batch_first=True)
    apply_fdam(block, freq_scale=False)
    seen = []
    block.attn.att_inv.register_forward_pre_hook(lambda _, args: seen.append(args))
    x, reduced = torch.randn(2, 6, 24), torch.randn(2, 3, 24)
    block(x, reduced, reduced)
    weight, bias = block.attn.in_proj_weight[48:], block.attn.in_proj_bias[48:]
    torch.testing.assert_close(seen[0][1], x @ weight.T + bias)


@pytest.mark.usefixtures("known_block")
def test_multihead_attention_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UnservedError, match="tokens added"):
        apply_fdam(_Block(add_bias_kv=True), freq_scale=False)
    block = _Block()
    apply_fdam(block, freq_scale=False)
    x = torch.randn(5, 24)
    with pytest.raises(ForwardError, match="takes a batch"):
        block(x, x, x)


def test_multihead_attention_in_an_unknown_block_is_refused() -> None:
    layer = nn.TransformerDecoderLayer(24, 3)
    with pytest.raises(UnservedError, match="it may be no self-attention"):
        apply_fdam(layer, freq_scale=False)
