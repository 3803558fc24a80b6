"""Our models among torch's other tools: tracing, exporting, transforms, quantising, wrapping.

Sizes of grids differ between the models, and each test starts without constants of any grid, so
that the tool at hand is what sees a grid first.
"""

import io
import warnings
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from support.wrapped_linears import WRAPPERS, Lora, linears, wrap_linears
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, hessian, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import prune

from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.fourier import _cached_grid
from fdam_mm.models import (
    FDAMMixVisionTransformer,
    FDAMVisionTransformer,
    LSKNet,
    MaskDINOPixelDecoder,
)

Fdam = dict[str, bool]
RELEASED = dict(att_inv=True, freq_scale=True)
PLAIN = dict(att_inv=False, freq_scale=False)
STAGES = dict(patch_sizes=(7, 3), strides=(4, 2), num_heads=(1, 2), sr_ratios=(2, 1))


class PixelDecoder(MaskDINOPixelDecoder):
    """Mask DINO's, of one picture's map: the others are its pooled copies."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        coarse = nn.functional.avg_pool2d(x, 2)
        mask_features, maps = super().forward([x, coarse])
        return (mask_features, *maps)


def _vit(fdam: Fdam = RELEASED) -> nn.Module:
    return FDAMVisionTransformer(
        img_size=32, patch_size=8, embed_dims=32, num_layers=1, num_heads=2, out_indices=0,
        layer_scale_init=0.5, with_cls_token=True, fdam=fdam,
    )  # fmt: skip


def _mit(fdam: Fdam = RELEASED) -> nn.Module:
    return FDAMMixVisionTransformer(
        embed_dims=16, num_stages=2, num_layers=(1, 1), out_indices=(0, 1), fdam=fdam, **STAGES
    )


def _lsknet(fdam: Fdam = RELEASED) -> nn.Module:
    sizes = dict(embed_dims=(16, 32), depths=(1, 1), mlp_ratios=(2, 2), out_indices=(0, 1))
    return LSKNet(**sizes, fdam=fdam)


def _mask_dino(fdam: Fdam = RELEASED) -> nn.Module:
    encoder = dict(num_layers=1, num_heads=2, num_points=2, feedforward_channels=24)
    settings = dict(num_levels=2, num_encoder_inputs=2, num_groups=4, fdam=fdam)
    return PixelDecoder((3, 3), 32, 8, encoder=encoder, **settings)


# Every grid has a side of 2 or an odd one somewhere.
MODELS = {
    "vit": (_vit, (32, 16)),
    "mit": (_mit, (28, 20)),
    "lsknet": (_lsknet, (36, 28)),
    "mask_dino": (_mask_dino, (10, 4)),
}


pytestmark = pytest.mark.filterwarnings("ignore")  # tracers tell of every size they take


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    _cached_grid.cache_clear()


ANY_BATCH = ({0: torch.export.Dim.DYNAMIC},)  # of the only argument
# Deformable attention samples by torch's grid_sample, which has but a first derivative.
TWICE_DIFFERENTIABLE = ("vit", "mit", "lsknet")


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    return _case(request.param)


def _case(
    name: str, dtype: torch.dtype = torch.float, fdam: Fdam = RELEASED
) -> tuple[nn.Module, Tensor]:
    """A model in evaluation mode with weights of ordinary size, and two pictures."""
    make, size = MODELS[name]
    torch.manual_seed(0)
    model = make(fdam).eval()
    for module in model.modules():
        if isinstance(module, AttInv | FreqScale):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
        elif isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.02)  # zeros have no norm, for weight_norm
    return model.to(dtype), torch.randn(2, 3, *size, dtype=dtype)


def _last(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: model(x)[-1]


def _close(
    ours: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: float = 1e-4
) -> None:
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_jit_trace(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(model, x)
    _close(traced(x), model(x))
    _close(traced(x.repeat(2, 1, 1, 1)), model(x.repeat(2, 1, 1, 1)))  # another batch


@pytest.mark.parametrize("strict", [False, True])
def test_export(case: tuple[nn.Module, Tensor], strict: bool) -> None:
    model, x = case
    program = torch.export.export(model, (x,), dynamic_shapes=ANY_BATCH, strict=strict)
    _close(program.module()(x), model(x))
    _close(program.module()(x.repeat(2, 1, 1, 1)), model(x.repeat(2, 1, 1, 1)))


@pytest.mark.slow
def test_onnx(case: tuple[nn.Module, Tensor]) -> None:
    pytest.importorskip("onnxscript")
    model, x = case
    file = io.BytesIO()
    torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=ANY_BATCH, verbose=False).save(file)
    _check_onnx(file, model, x.repeat(2, 1, 1, 1))


def test_legacy_onnx(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17)
    _check_onnx(file, model, x)


@pytest.mark.parametrize("name", ["vit", "lsknet"])
def test_legacy_onnx_of_any_batch(name: str) -> None:
    """Of the others not even the plain model has one."""
    model, x = _case(name)
    file = io.BytesIO()
    axes = dict(input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17, **axes)
    _check_onnx(file, model, x.repeat(2, 1, 1, 1))


def _check_onnx(file: io.BytesIO, model: nn.Module, x: Tensor) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(file.getvalue())
    outs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    _close(tuple(map(torch.from_numpy, outs)), tuple(y.detach() for y in model(x)), 1e-3)


def test_fx_refuses(case: tuple[nn.Module, Tensor]) -> None:
    """Should it be served one day, docs/works_with.md wants to say so."""
    with pytest.raises((torch.fx.proxy.TraceError, TypeError, RuntimeError)):
        torch.fx.symbolic_trace(case[0])


def test_meta_device(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    outs = deepcopy(model).to("meta")(x.to("meta"))
    assert [y.shape for y in outs] == [y.shape for y in model(x)]


@pytest.mark.parametrize("name", MODELS)
def test_fake_tensors(name: str) -> None:
    make, size = MODELS[name]
    expected = make().eval()(torch.randn(2, 3, *size))
    _cached_grid.cache_clear()
    with FakeTensorMode():
        outs = make().eval()(torch.randn(2, 3, *size))
    assert [y.shape for y in outs] == [y.shape for y in expected]


def test_vmap(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    _close([y[:, 0] for y in vmap(model)(x[:, None])], model(x))


def test_per_sample_gradients(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return sum(y.sin().sum() for y in functional_call(model, parameters, x[None]))

    ours = vmap(grad(loss), (None, 0))(parameters, x)
    for index, picture in enumerate(x):
        model.zero_grad()
        sum(y.sin().sum() for y in model(picture[None])).backward()
        for name, parameter in model.named_parameters():
            expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(ours[name][index], expected, rtol=1e-3, atol=1e-3)


def _penalty(model: nn.Module, x: Tensor) -> Tensor:
    """The gradient's square, to be differentiated once more."""
    (slope,) = torch.autograd.grad(_last(model)(x).sin().sum(), x, create_graph=True)
    return slope.square().sum()


# torch's fused attention has neither double backward nor forward mode, in any model.
@sdpa_kernel(SDPBackend.MATH)
@pytest.mark.parametrize("name", TWICE_DIFFERENTIABLE)
def test_double_backward(name: str) -> None:
    """Against finite differences along one direction."""
    model, x = _case(name, torch.double)
    direction = torch.randn_like(x)
    (ours,) = torch.autograd.grad(_penalty(model, x.requires_grad_()), x)
    step = 1e-5 * direction
    expected = (_penalty(model, x + step) - _penalty(model, x - step)).detach() / 2e-5
    torch.testing.assert_close((ours * direction).sum(), expected, rtol=1e-3, atol=1e-5)


@sdpa_kernel(SDPBackend.MATH)
@pytest.mark.parametrize("name", TWICE_DIFFERENTIABLE)
def test_forward_mode(name: str) -> None:
    """A slope along one direction, and its slope, against finite differences."""
    model, x = _case(name, torch.double)
    direction = torch.randn_like(x)

    def along(t: Tensor) -> Tensor:
        return _last(model)(x + t * direction).sin().sum()

    def slope(t: Tensor) -> Tensor:
        return jvp(along, (t,), (torch.ones_like(t),))[1]

    zero, step = torch.zeros((), dtype=torch.double), 1e-4
    expected = (along(step) - along(-step)) / (2 * step)
    torch.testing.assert_close(slope(zero), expected, rtol=1e-3, atol=1e-5)
    expected = (slope(zero + step) - slope(zero - step)) / (2 * step)
    torch.testing.assert_close(hessian(along)(zero), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fdam", [RELEASED, PLAIN], ids=["fdam", "plain"])
@pytest.mark.parametrize("name", ["vit", "mit", "mask_dino"])
def test_what_torch_cannot_differentiate_twice(name: str, fdam: Fdam) -> None:
    """As docs/works_with.md says, with or without FDAM: should torch learn it, tell so there."""
    model, x = _case(name, torch.float, fdam)
    with pytest.raises(RuntimeError, match="derivative for .* is not implemented"):
        torch.autograd.grad(_penalty(model, x.requires_grad_()), x)
    with pytest.raises(NotImplementedError, match="forward AD with .* does not support it"):
        jvp(_last(model), (x.detach(),), (torch.ones_like(x),))


def test_quantize_dynamic(case: tuple[nn.Module, Tensor]) -> None:
    model, x = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(deepcopy(model), {nn.Linear})
    for ours, expected in zip(quantised(x), model(x), strict=True):
        assert (ours - expected).norm() < 0.1 * expected.norm()


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapped_linears(case: tuple[nn.Module, Tensor], wrap: Callable) -> None:
    """A wrapper around every linear computes what the merged weights do."""
    wrapped, merged = wrap_linears(case[0], wrap)
    _close(wrapped(case[1]), merged(case[1]), 1e-3)


def test_pruned_projections_of_mit() -> None:
    """What is no linear is called too: a pruned weight follows the one that trains."""
    torch.manual_seed(0)
    model = _mit().eval()
    projections = model.layers[0][1][0].attn.attn
    prune.l1_unstructured(projections, "in_proj_weight", amount=0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(1, 3, 28, 20))[-1].sum().backward()
        optimizer.step()
    model(torch.randn(1, 3, 28, 20))
    expected = projections.in_proj_weight_orig * projections.in_proj_weight_mask
    torch.testing.assert_close(projections.in_proj_weight, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_wrapped_layers_in_16_bit(dtype: torch.dtype) -> None:
    """Gates and routing are computed in float32 with 16 bit weights, wrapped or not."""
    torch.manual_seed(0)
    att_inv, freq_scale = AttInv(32, 4).to(dtype), FreqScale(32).to(dtype)
    x = torch.full((1, 6, 32), 500.0, dtype=dtype)  # squared, beyond fp16
    v, y = torch.randn(2, 1, 6, 32).to(dtype)
    expected = att_inv(x, v, y), freq_scale(v, (2, 3))
    for parent, name, linear in (*linears(att_inv), *linears(freq_scale)):
        wrapped = Lora(linear).to(dtype)
        nn.init.zeros_(wrapped.up.weight)
        setattr(parent, name, wrapped)
    for ours, reference in zip((att_inv(x, v, y), freq_scale(v, (2, 3))), expected, strict=True):
        assert ours.dtype == dtype and ours.isfinite().all()
        torch.testing.assert_close(ours, reference, rtol=1e-2, atol=1e-2)
