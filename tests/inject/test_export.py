"""Traces and exports of timm's models with FDAM, against the models themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from fdam_mm import apply_fdam
from fdam_mm.errors import ForwardError
from fdam_mm.inject.adapter import BlockAdapter, adapter_of

timm = pytest.importorskip("timm")
from support.timm_models import CASES, let_everything_count, random_image  # noqa: E402

_NAMES = ("vit", "beit", "dinov3", "swin", "pvt_v2", "twins svt", "davit", "maxvit", "hiera")


def _model(name: str) -> tuple[nn.Module, Tensor]:
    case = CASES[name]
    model = case.build().eval().requires_grad_(False)
    apply_fdam(model, freq_scale=dict(mlp_ratio=1.0))
    let_everything_count(model)
    return model, random_image(case.size)


def _check(result: Tensor, model: nn.Module, image: Tensor) -> None:
    expected = model(image)  # after the export: a first call must not be needed
    assert ((result - expected).norm() / expected.norm()).item() < 1e-4


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_jit_trace(name: str) -> None:
    model, image = _model(name)
    _check(torch.jit.trace(model, (image,), check_trace=False)(image), model, image)


def _slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "name, strict", [_slow("vit", True), ("vit", False), ("swin", False), _slow("pvt_v2", False)]
)
def test_torch_export(name: str, strict: bool) -> None:
    model, image = _model(name)
    _check(torch.export.export(model, (image,), strict=strict).module()(image), model, image)


@pytest.mark.parametrize("name, dynamo", [_slow("vit", True), ("vit", False), ("beit", False)])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_onnx(name: str, dynamo: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript" if dynamo else "onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, image = _model(name)
    file = str(tmp_path / "model.onnx")
    torch.onnx.export(model, (image,), file, dynamo=dynamo, verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: np.asarray(image)}
    _check(torch.from_numpy(session.run(None, inputs)[0]), model, image)


class _BlocksAreLeaves(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        adapter = adapter_of(module)
        block = adapter is not None and issubclass(adapter, BlockAdapter)
        return block or super().is_leaf_module(module, name)


@pytest.mark.parametrize("name", ["deit3", "convnext"])
def test_symbolic_trace_is_refused_and_blocks_as_leaves_are_served(name: str) -> None:
    case = CASES[name]
    model = case.build().eval().requires_grad_(False)
    apply_fdam(model, **{"freq_scale": dict(mlp_ratio=1.0), **case.apply})
    let_everything_count(model)
    with pytest.raises(ForwardError, match="symbolic_trace does not see"):
        fx.symbolic_trace(model)
    image = random_image(case.size)
    traced = fx.GraphModule(model, _BlocksAreLeaves().trace(model))
    _check(traced(image), model, image)


@pytest.mark.parametrize("name", ["vit", "hiera", "pvt_v2", "swinv2"])
def test_a_model_that_starts_without_memory(name: str) -> None:
    """On the meta device first; timm's own buffers that are in no state are copied."""
    model, image = _model(name)
    with torch.device("meta"):
        empty = CASES[name].build().eval()
        apply_fdam(empty, freq_scale=dict(mlp_ratio=1.0))
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    empty.to_empty(device="cpu")
    empty.load_state_dict(model.state_dict())
    for (_, ours), (_, theirs) in zip(empty.named_buffers(), model.named_buffers(), strict=True):
        ours.copy_(theirs)
    _check(empty(image), model, image)
