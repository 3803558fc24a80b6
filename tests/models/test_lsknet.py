import copy
from pathlib import Path

import pytest
import torch
from support.golden import load_case, relative_error
from support.rotated_detector import rotated_batch, small_detector
from torch import Tensor, nn
from torch.nn import functional as F

from fdam_mm.checkpoints import convert
from fdam_mm.errors import CheckpointMismatchError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.models import LSKNet
from fdam_mm.models.backbones.lsknet import LSKAttention, SelectiveKernel

TINY = dict(embed_dims=(16, 32, 64, 64), depths=(2, 1, 2, 1), mlp_ratios=(2, 2, 2, 2))
FREQ_SCALE = dict(freq_scale=True)
BOTH = dict(att_inv=True, freq_scale=True)
FDAM = pytest.mark.parametrize("fdam", [None, FREQ_SCALE, BOTH], ids=["plain", "scale", "both"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def tiny(**options: object) -> LSKNet:
    return LSKNet(**{**TINY, **options})


def strong(model: nn.Module) -> nn.Module:
    """Give FDAM's layers and LayerScale parameters that show in the output."""
    for name, parameter in model.named_parameters():
        if "gamma" in name:
            nn.init.normal_(parameter, std=0.5)
    for layer in (m for m in model.modules() if isinstance(m, FreqScale)):
        nn.init.normal_(layer.bases, std=0.5)
        nn.init.normal_(layer.reweight.fc2.weight)
    return model


def random_loss(outs: tuple[Tensor, ...]) -> Tensor:
    """Weighted at random: the sum of a normed map does not depend on what comes before."""
    return sum((out * torch.randn_like(out)).sum() for out in outs)


def assert_close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tol: float) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tol, atol=tol)


@pytest.mark.parametrize("fdam", [None, BOTH], ids=["plain", "gammas at zero"])
def test_golden(fdam: dict | None) -> None:
    case = load_case("lsknet_tiny")
    norm_cfg = dict(type=case.build.pop("norm"))
    model = LSKNet(**case.build, norm_cfg=norm_cfg, fdam=fdam).eval()
    result = model.load_state_dict(convert(case.state), strict=fdam is None)
    assert not result.unexpected_keys
    for layer in model.modules():
        if isinstance(layer, FreqScale):
            nn.init.zeros_(layer.bases)
        elif isinstance(layer, AttInv) and fdam:
            nn.init.zeros_(layer.low_gamma)
            nn.init.zeros_(layer.high_gamma)
    for name, x in case.inputs.items():
        with torch.no_grad():
            outs = model(x)
        for i, out in enumerate(outs):
            assert relative_error(out, case.outputs[f"{name}:{i}"]) < 1e-5, (name, i)


@pytest.mark.parametrize("size", [(64, 64), (75, 97), (33, 70)])
@pytest.mark.parametrize("fdam", [FREQ_SCALE, BOTH], ids=["scale", "both"])
def test_fdam_starts_near_plain_on_every_grid(fdam: dict, size: tuple[int, int]) -> None:
    plain, model = tiny().eval(), tiny(fdam=fdam).eval()
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected = plain(x)
        for i, (ours, theirs) in enumerate(zip(model(x), expected, strict=True)):
            grid = tuple(-(-side // (4 * 2**i)) for side in size)
            assert ours.shape == (2, TINY["embed_dims"][i], *grid)
            assert relative_error(ours, theirs) < 1e-3
        for ours, theirs in zip(strong(model)(x), expected, strict=True):
            assert torch.isfinite(ours).all() and not torch.allclose(ours, theirs, atol=1e-2)


def test_block_is_the_written_formula() -> None:
    block = strong(tiny(fdam=FREQ_SCALE)).eval().stages[1].blocks[0].double()
    x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
    scale = lambda gamma: gamma.view(-1, 1, 1)  # noqa: E731
    a = block.attn(block.norm1(x))
    expected = x + scale(block.gamma_1) * block.freq_scale_1(a)
    m = block.mlp(block.norm2(expected))
    expected = expected + scale(block.gamma_2) * block.freq_scale_2(m)
    torch.testing.assert_close(block(x), expected)


def test_att_inv_is_the_written_formula() -> None:
    """The gate's input less its output is the high path; gates are shared by 32 channels."""
    module = strong(LSKAttention(64)).double()
    x = torch.randn(2, 64, 9, 7, dtype=torch.float64)
    u = F.gelu(module.proj_in(x))
    y = u * module.context(u)
    tokens = x.flatten(2).transpose(1, 2)
    low, high = (
        gate.repeat_interleave(32, dim=-1).transpose(1, 2).view_as(x)
        for gate in module.att_inv.gates(tokens)
    )
    gamma_low, gamma_high = (
        gamma.view(1, -1, 1, 1) for gamma in (module.att_inv.low_gamma, module.att_inv.high_gamma)
    )
    mixed = y + gamma_low * low * y + gamma_high * high * (u - y)
    torch.testing.assert_close(module(x), x + module.proj_out(mixed))


def test_drop_path_grows_linearly_and_dropout_is_in_the_mlp() -> None:
    model = tiny(drop_rate=0.5, drop_path_rate=0.3)
    blocks = [block for stage in model.stages for block in stage.blocks]
    rates = [block.drop_path.drop_prob for block in blocks]
    assert rates == pytest.approx([0, 0.06, 0.12, 0.18, 0.24, 0.3])
    assert {block.mlp.drop.p for block in blocks} == {0.5}
    x = torch.randn(2, 3, 64, 64)
    assert not torch.equal(model(x)[-1], model(x)[-1])
    model.eval()
    assert torch.equal(model(x)[-1], model(x)[-1])


@FDAM
def test_every_parameter_learns(fdam: dict | None) -> None:
    if fdam is not None:
        # a routing MLP of many channels: a single squared ReLU may be zero for both pictures
        fdam = {**fdam, "freq_scale": dict(mlp_ratio=1)}
    model = strong(tiny(fdam=fdam)).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    random_loss(model(torch.randn(2, 3, 75, 64))).backward()
    optimizer.step()
    assert not [name for name, p in model.named_parameters() if torch.equal(p, before[name])]


@FDAM
@pytest.mark.parametrize("norm", ["BN", "SyncBN"])
def test_checkpointing_changes_nothing(fdam: dict | None, norm: str) -> None:
    """Also not the running statistics, though each block runs twice."""
    model = strong(tiny(fdam=fdam, drop_path_rate=0.3, norm_cfg=dict(type=norm))).train()
    x, results = torch.randn(2, 3, 64, 64), []
    for with_cp in (False, True):
        tried = copy.deepcopy(model)
        tried.with_cp = with_cp
        torch.manual_seed(3)
        random_loss(tried(x)).backward()
        grads = {name: p.grad for name, p in tried.named_parameters()}
        results.append((grads, dict(tried.named_buffers())))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
    assert {norm.momentum for norm in tried.modules() if hasattr(norm, "momentum")} == {0.1}


def test_frozen_stages() -> None:
    model = tiny(frozen_stages=2, fdam=BOTH).train()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    random_loss(model(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    changed = {
        name.split(".")[1] for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }  # fmt: skip
    assert changed == {"2", "3"}
    assert not any(stage.training for stage in model.stages[:2])
    assert all(stage.training for stage in model.stages[2:])
    for nothing in (-1, 0):
        assert all(p.requires_grad for p in tiny(frozen_stages=nothing).parameters())


def test_memory_layout_of_the_input_does_not_matter() -> None:
    model = strong(tiny(fdam=BOTH)).eval()
    x = torch.randn(2, 3, 64, 96)
    outs = model(x)
    assert_close(model(x.to(memory_format=torch.channels_last)), outs, 1e-5)
    assert all(out.is_contiguous() for out in outs)  # deformable convolution refuses all else


def test_bfloat16_autocast() -> None:
    model = strong(tiny(fdam=BOTH)).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        outs = model(x)
        loss = sum(out.float().square().mean() for out in outs)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    for half, full in zip(outs, model(x), strict=True):
        assert (half.float() - full).abs().mean() < 0.1


def test_outputs_and_channels() -> None:
    model = tiny(in_channels=5, out_indices=(1, 3), embed_dims=(16, 48, 80, 96), fdam=BOTH)
    outs = model(torch.randn(2, 5, 64, 64))
    assert [tuple(out.shape[1:]) for out in outs] == [(48, 8, 8), (96, 2, 2)]


def test_starts_from_the_authors_file(tmp_path: Path) -> None:
    case = load_case("lsknet_tiny")
    head = {"head.weight": torch.zeros(10, 64), "head.bias": torch.zeros(10)}
    file = tmp_path / "lsk.pth"
    torch.save(dict(state_dict={**case.state, **head}), file)
    init_cfg = dict(type="Pretrained", checkpoint=str(file))
    case.build.pop("norm")
    model = LSKNet(**case.build, init_cfg=init_cfg, fdam=FREQ_SCALE).eval()
    model.init_weights()
    for i, out in enumerate(model(case.inputs["64x64"])):
        assert relative_error(out, case.outputs[f"64x64:{i}"]) < 1e-3
    with pytest.raises(CheckpointMismatchError, match="shapes differ"):
        tiny(init_cfg=init_cfg, mlp_ratios=(4, 4, 4, 4)).init_weights()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(depths=(1, 1)), r"one value per stage, got \[4, 2, 4\]"),
        (dict(embed_dims=(15, 32, 64, 64)), "must be even"),
        (dict(frozen_stages=5), r"expected -1 \.\. 4"),
        (dict(out_indices=(0, 4)), "outside 0 .. 3"),
        (dict(out_indices=(3, 0)), "must ascend without duplicates"),
        (dict(fdam=dict(attinv=True)), r"fdam has no setting \['attinv'\]"),
        (dict(fdam=dict(freq_scale=dict(groups=5))), "not a multiple of groups"),
    ],
)
def test_clear_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


@pytest.mark.parametrize("fdam", ["", "fdam-"], ids=["plain", "fdam"])
@pytest.mark.parametrize("detector", ["oriented-rcnn", "rotated-faster-rcnn", "s2anet"])
def test_detector_trains_and_predicts(detector: str, fdam: str) -> None:
    model = small_detector(f"{fdam}{detector}-le90_lsknet-s_fpn_1x_dota.py", TINY)
    batch = rotated_batch()
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    loss, logged = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    assert all(torch.isfinite(value) for value in logged.values())
    assert all(torch.isfinite(p.grad).all() for p in model.backbone.parameters())

    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(copy.deepcopy(batch))
        first, second = model(**data, mode="predict")
    found = first.pred_instances
    assert len(found) and found.bboxes.shape[1] == 5 and torch.isfinite(found.scores).all()
    assert torch.allclose(found.scores, second.pred_instances.scores)


def test_gradients_of_the_large_kernel_are_right_in_bfloat16() -> None:
    """oneDNN's own are garbage in some of these rounds."""
    torch.manual_seed(0)
    kernel = SelectiveKernel(32)
    for _ in range(12):
        x = torch.randn(4, 32, 48, 48).contiguous(memory_format=torch.channels_last)
        grads = []
        for low in (False, True):
            kernel.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                kernel(x).float().square().mean().backward()
            grads.append(kernel.far.weight.grad)
        torch.testing.assert_close(grads[1], grads[0], rtol=0, atol=0.05 * grads[0].abs().max())
