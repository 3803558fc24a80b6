"""apply_fdam on models of the tests' own: torch alone."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from support.tools import ROOT
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fdam_mm import apply_fdam, register_adapter, remove_fdam
from fdam_mm.errors import ForwardError, UnservedError
from fdam_mm.inject import AttentionAdapter, BlockAdapter, NoAttInv, Site
from fdam_mm.layers import AttInv, FreqScale


class PixelAttention(nn.Module):
    """Self-attention of all pixels of a map (B, C, H, W), with names that nobody knows."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.to_qk, self.to_v = nn.Conv2d(dim, 2 * dim, 1), nn.Conv2d(dim, dim, 1)
        self.to_out = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.to_qk(x).flatten(2).unflatten(1, (2, self.heads, -1)).unbind(1)
        v = self.to_v(x).flatten(2).unflatten(1, (self.heads, -1))  # (B, h, d, N)
        y = v @ (q.transpose(-1, -2) @ k).softmax(-1).transpose(-1, -2)
        return self.to_out(y.flatten(1, 2).view_as(x))


class PixelBlock(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.attn = PixelAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Conv2d(dim, dim, 1), nn.GELU(), nn.Conv2d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


@register_adapter(PixelAttention)
class PixelAttentionAdapter(AttentionAdapter):
    values, projection, channels_first = "to_v", "to_out", True

    def __init__(self, attn: PixelAttention) -> None:
        self.dim, self.num_heads = attn.dim, attn.heads

    def v(self, call) -> Tensor:
        return call.captured


@register_adapter(PixelBlock)
class PixelBlockAdapter(BlockAdapter):
    sites = (Site("attn", "output", "nchw"), Site("mlp", "output", "nchw"))

    def __init__(self, block: PixelBlock, parents) -> None:
        self.dim = block.dim


class OddAttention(nn.Linear):
    """Attention by name, and no adapter."""


class ChannelGate(nn.Linear):
    """Takes no AttInv by its nature."""


@register_adapter(ChannelGate)
class ChannelGateAdapter(NoAttInv):
    reason = "no tokens"


def _model(dim: int = 32, depth: int = 2, heads: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(PixelBlock(dim, heads) for _ in range(depth)))


def _make_visible(model: nn.Module) -> nn.Module:
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma", "bases")):
            nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 32, 5, 7, generator=torch.Generator().manual_seed(1))


def test_an_adapter_of_ones_own(x: Tensor) -> None:
    """The layers act exactly where the block would have called them."""
    model = _model(depth=1)
    plain = copy.deepcopy(model)
    report = apply_fdam(model)
    assert (report.count("AttInv"), report.count("FreqScale")) == (1, 2)
    assert sum(p.numel() for p in model.parameters()) == report.parameters + sum(
        p.numel() for p in plain.parameters()
    )
    torch.testing.assert_close(model(x), plain(x), rtol=1e-3, atol=1e-4)

    _make_visible(model)
    block, attn = model[0], model[0].attn
    q, k = attn.to_qk(x).flatten(2).unflatten(1, (2, 4, -1)).unbind(1)
    v = attn.to_v(x).flatten(2)  # (B, C, N)
    y = v.unflatten(1, (4, -1)) @ (q.mT @ k).softmax(-1).mT
    y = attn.att_inv(x.flatten(2).mT, v.mT, y.flatten(1, 2).mT).mT.reshape(x.shape)
    expected = x + block.freq_scale_1(_convolve(attn.to_out, y))
    expected = expected + block.freq_scale_2(_sequence(block.mlp, expected))
    torch.testing.assert_close(model(x), expected)
    assert (model(x) - plain(x)).abs().max() > 0.1


def _convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Without the hooks."""
    return nn.functional.conv2d(x, conv.weight, conv.bias)


def _sequence(layers: nn.Sequential, x: Tensor) -> Tensor:
    return _convolve(layers[2], nn.functional.gelu(_convolve(layers[0], x)))


def test_old_keys_stay_and_new_ones_are_named() -> None:
    model = _model(depth=1)
    old = list(model.state_dict())
    apply_fdam(model)
    new = [k for k in model.state_dict() if k not in old]
    assert [k for k in model.state_dict() if k in old] == old
    assert new[0].startswith("0.freq_scale_1.") or new[0].startswith("0.attn.att_inv.")
    assert {k.split(".")[-1] for k in new if "att_inv" in k} >= {"low_gamma", "high_gamma"}


@pytest.mark.parametrize("settings, layers", [((True, False), AttInv), ((False, True), FreqScale)])
def test_one_layer_alone(settings: tuple[bool, bool], layers: type) -> None:
    model = _model()
    report = apply_fdam(model, *settings)
    found = [m for m in model.modules() if isinstance(m, AttInv | FreqScale)]
    assert {type(m) for m in found} == {layers}
    assert {i.layer for i in report.inserted} == {layers.__name__}


def test_settings_reach_the_layers() -> None:
    model = _model(depth=1)
    apply_fdam(model, att_inv=dict(low=False), freq_scale=dict(groups=2, num_filters=3))
    assert not model[0].attn.att_inv.low
    assert model[0].freq_scale_2.groups == 2
    with pytest.raises(ValueError, match="no setting"):
        apply_fdam(_model(), freq_scale=dict(group=2))


def test_groups_are_chosen_or_refused() -> None:
    model = _model(dim=28)
    report = apply_fdam(model, freq_scale=dict(mlp_ratio=0.5))
    assert model[0].freq_scale_1.groups == 14
    assert "28 channels in 14 groups" in str(report)
    with pytest.raises(UnservedError, match="28 is not a multiple of groups 16"):
        apply_fdam(_model(dim=28), freq_scale=dict(groups=16))


def test_what_is_unknown_is_named_and_nothing_is_touched() -> None:
    model = _model()
    model.append(OddAttention(32, 32))
    before = pickle.dumps(model)
    with pytest.raises(UnservedError, match=r"2: .*OddAttention has no adapter"):
        apply_fdam(model)
    assert pickle.dumps(model) == before
    report = apply_fdam(model, strict=False)
    assert list(report.problems) == ["2"]
    assert report.count("AttInv") == 2


def test_what_takes_none_by_nature_is_reported() -> None:
    model = _model()
    model.append(ChannelGate(32, 32))
    assert apply_fdam(model).skipped == {"2": "no tokens"}
    with pytest.raises(UnservedError, match="no place for AttInv"):
        apply_fdam(nn.Sequential(ChannelGate(32, 32)), freq_scale=False)


def test_a_failure_in_the_middle_is_undone(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    before = pickle.dumps(model)
    add_module, calls = nn.Module.add_module, []

    def break_down(self: nn.Module, name: str, module: nn.Module) -> None:
        calls.append(name)
        if len(calls) == 5:
            raise RuntimeError("broken")
        add_module(self, name, module)

    monkeypatch.setattr(nn.Module, "add_module", break_down)
    with pytest.raises(RuntimeError, match="broken"):
        apply_fdam(model)
    monkeypatch.undo()
    assert pickle.dumps(model) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_is_passed_over(x: Tensor) -> None:
    model = _model(depth=1).append(torch.jit.script(nn.Conv2d(32, 4, 1)))
    expected = model(x)
    assert apply_fdam(model).count("AttInv") == 1
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)
    remove_fdam(model)
    assert torch.equal(model(x), expected)


def test_a_second_time_is_refused() -> None:
    model = _model()
    apply_fdam(model)
    state = model.state_dict()
    with pytest.raises(UnservedError, match="has FDAM already, at 0"):
        apply_fdam(model)
    assert list(model.state_dict()) == list(state)


def test_neither_layer_is_an_error() -> None:
    with pytest.raises(ValueError, match="both switched off"):
        apply_fdam(_model(), att_inv=False, freq_scale=False)


def test_a_model_without_attention() -> None:
    with pytest.raises(UnservedError, match=r"no place for AttInv.*no place for FreqScale"):
        apply_fdam(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))


def test_a_subclass_is_served_while_it_keeps_the_forward() -> None:
    class Renamed(PixelAttention): ...

    class Rewritten(PixelAttention):
        def forward(self, x: Tensor) -> Tensor:
            return x

    model = _model(depth=2)
    model[0].attn, model[1].attn = Renamed(32, 4), Rewritten(32, 4)
    report = apply_fdam(model, strict=False)
    assert list(report.problems) == ["1.attn"] or report.count("AttInv") == 1


def test_copies_are_independent(x: Tensor) -> None:
    model = _make_visible_after_apply()
    twin, saved = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    expected = model(x)
    nn.init.zeros_(model[0].attn.att_inv.high_gamma)
    nn.init.zeros_(model[0].freq_scale_1.bases)
    assert torch.equal(twin(x), expected)
    assert torch.equal(saved(x), expected)
    assert not torch.equal(model(x), expected)


def _make_visible_after_apply() -> nn.Sequential:
    model = _model()
    apply_fdam(model)
    return _make_visible(model)


def test_a_replica_uses_its_own_layers(x: Tensor) -> None:
    """What DataParallel does: shallow copies of all modules, wired to each other."""
    model = _make_visible_after_apply()
    expected = model(x)
    replica = _replicate(model)
    with torch.no_grad():
        model[0].attn.att_inv.high_gamma.zero_()
    replica[0].attn.att_inv._parameters["high_gamma"] = torch.ones(32)
    changed = replica(x)
    assert not torch.equal(changed, expected)
    assert not torch.allclose(changed, model(x))


def _replicate(model: nn.Module) -> nn.Module:
    copies = {m: m._replicate_for_data_parallel() for m in model.modules()}
    for module, replica in copies.items():
        for name, child in module._modules.items():
            replica._modules[name] = child if child is None else copies[child]
        for name, parameter in module._parameters.items():
            replica._parameters[name] = None if parameter is None else parameter.detach().clone()
    return copies[model]


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_gives_the_same_gradients(x: Tensor, reentrant: bool) -> None:
    model = _make_visible_after_apply()
    x.requires_grad_()
    model(x).square().sum().backward()
    expected = {k: p.grad.clone() for k, p in model.named_parameters()}
    model.zero_grad()
    out = x
    for block in model:
        out = checkpoint(block, out, use_reentrant=reentrant)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], msg=name)


def test_an_interrupted_forward_leaves_nothing_behind(x: Tensor) -> None:
    model = _make_visible_after_apply()
    expected = model(x)
    handle = model[1].attn.to_v.register_forward_hook(_interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(x)
    handle.remove()
    copy.deepcopy(model)  # tensors with a history cannot be copied
    assert torch.equal(model(x), expected)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_attention_that_goes_another_way_raises(x: Tensor) -> None:
    model = _model(depth=1)
    apply_fdam(model)
    attn = model[0].attn
    attn.forward = lambda x: attn.to_out(_convolve(attn.to_v, x))
    with pytest.raises(ForwardError, match="did not call its child 'to_v'"):
        model(x)


def test_a_child_called_alone_raises(x: Tensor) -> None:
    model = _model(depth=1)
    apply_fdam(model)
    with pytest.raises(ForwardError, match="its child 'mlp' called outside of its block"):
        model[0].mlp(x)


def test_containers_stay_as_they_are(x: Tensor) -> None:
    """A sequence runs, counts and indexes what it holds: children go to attentions and blocks."""
    model = _model()
    model[0].attn.to_v = nn.Sequential(model[0].attn.to_v)
    model[0].attn.to_out = nn.Sequential(model[0].attn.to_out)
    before = {n: list(m) for n, m in model.named_modules() if isinstance(m, nn.Sequential)}
    names = [n for n, _ in model.named_modules()]
    expected = model(x)
    apply_fdam(model)
    assert {n: list(m) for n, m in model.named_modules() if n in before} == before
    new = {n for n, _ in model.named_modules()} - set(names)
    assert {n.split(".")[1] for n in new} == {"attn", "freq_scale_1", "freq_scale_2"}
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)


class SequenceBlock(nn.Sequential):
    """Runs whatever children it has."""


@register_adapter(SequenceBlock)
class SequenceBlockAdapter(BlockAdapter):
    sites = (Site("0", "output", "nchw"),)

    def __init__(self, block: SequenceBlock, parents) -> None:
        self.dim = block[0].dim


def test_a_block_that_runs_all_its_children_is_refused() -> None:
    model = nn.Sequential(SequenceBlock(PixelAttention(32, 4)))
    with pytest.raises(UnservedError, match="runs every child"):
        apply_fdam(model)
    assert len(model[0]) == 1


def test_a_child_that_two_blocks_share_is_refused() -> None:
    model = _model()
    model[1].mlp = model[0].mlp
    with pytest.raises(UnservedError, match="shares its child mlp with 0"):
        apply_fdam(model)


def test_device_dtype_and_mode_are_the_models() -> None:
    model = _model().double().eval()
    apply_fdam(model)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    assert not any(m.training for m in model.modules())


def test_torch_alone_is_enough() -> None:
    """Neither timm nor any OpenMMLab package is imported by the plug."""
    code = (
        "import sys; sys.modules['mmengine'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mmengine' else find(name, *a)\n"
        "import fdam_mm; fdam_mm.apply_fdam\n"
        "print([m for m in ('timm', 'mmcv', 'mmseg') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
