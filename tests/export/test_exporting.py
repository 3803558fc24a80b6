"""An export is the model, in onnxruntime and without torch, or it is refused."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.image import rescale_size
from support.tools import ROOT
from support.without_torch import TOOLKITS, run_without
from torch import Tensor, nn

from fdam_mm.apis import load_model, predict
from fdam_mm.errors import ExportError, MissingFileError, UsageError
from fdam_mm.export import exporting
from fdam_mm.export.checking import (
    RUNTIMES,
    OpenVINOSession,
    compare,
    first_difference,
    session_of,
)
from fdam_mm.export.exporting import export
from fdam_mm.export.measuring import measure
from fdam_mm.export.onnx_file import float32_nodes, to_half
from fdam_mm.export.pooling import pooling_by_matrices
from fdam_mm.export.preparing import Preparation, within
from fdam_mm.export.quantising import QUANTISED, to_int8, wrong_in_openvino
from fdam_mm.export.segmentor import Segmentor
from fdam_mm.runtime import Description, load
from fdam_mm.runtime.description import Graph

ABOUT = Description(
    task="segmentation", name="two", graphs=(), processing=True, precision="fp32",
    classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)), offset=0, threshold=None,
    scale=None, keep_ratio=True, stride=None, mean=(120.0,) * 3, std=(60.0,) * 3,
    bgr_to_rgb=True, align_corners=False, suppression=None, float32=(), versions={},
)  # fmt: skip


def test_what_was_compared_is_written(exported: Path) -> None:
    about = Description.read(exported.with_suffix(".json"))
    assert about.classes[6] == "wire" and about.palette[6] == (255, 255, 109)
    assert (about.offset, about.graphs[0].size) == (1, (64, 96))
    assert about.check is not None
    (found,) = about.check["graphs"]
    assert (found["inputs"], found["drawn"]) == (2, False)
    assert found["largest_error"] < 1e-4 * found["largest_logit"] and found["changed"] < 1e-3
    assert {*exported.parent.iterdir()} == {exported, exported.with_suffix(".json")}


def test_a_picture_of_the_models_size_gets_torchs_labels(
    exported: Path, model: nn.Module, picture: np.ndarray
) -> None:
    crop = picture[:64, :96].copy()
    (expected,) = predict(model, crop, progress=False)
    found = load(exported)(crop)
    assert (found.classes, found.palette) == (expected.classes, expected.palette)
    assert np.mean(found.labels != expected.labels) < 1e-3


def test_tiles_are_blended_as_torchs(
    exported: Path, model: nn.Module, picture: np.ndarray
) -> None:
    wide = np.concatenate([picture[:64], picture[:64, ::-1]], axis=1)
    tiles = dict(tile=96, overlap=16)  # of 64 x 96
    found = load(exported)(wide, **tiles)
    (expected,) = predict(model, wide, progress=False, **tiles)
    assert np.mean(found.labels != expected.labels) < 1e-3


def test_without_torch(exported: Path, picture: np.ndarray, tmp_path: Path) -> None:
    """Nor anything else but numpy, OpenCV and onnxruntime."""
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    code = f"""
from fdam_mm.runtime import load
model = load({str(exported)!r})
result = model({str(tmp_path / "a.png")!r}, tile=64)
result.save({str(tmp_path / "out")!r})
result.save_drawing({str(tmp_path / "out")!r})
"""
    run_without((*TOOLKITS, "pycocotools"), code)
    labels = load(exported)(picture, tile=64).labels
    written = cv2.imread(str(tmp_path / "out/a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, labels + 1)  # as the annotations of the data
    assert cv2.imread(str(tmp_path / "out/a.jpg")).shape[1] == 130  # a legend stands below


def test_half_precision(exported: Path, model: nn.Module, picture: np.ndarray) -> None:
    onnx = pytest.importorskip("onnx")
    content = to_half(exported.read_bytes(), model)
    about = Description.read(exported.with_suffix(".json"))
    module = Segmentor(model, about, (64, 96)).eval()
    found = compare(module, session_of(content), [picture[None]], drawn=False)
    assert 1e-6 < found.error < 2e-2
    kinds = {t.data_type for t in onnx.load_from_string(content).graph.initializer}
    assert {onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT} <= kinds  # FreqScale keeps float32


def test_int8(exported: Path, model: nn.Module, picture: np.ndarray) -> None:
    onnx = pytest.importorskip("onnx")
    about = Description.read(exported.with_suffix(".json"))
    module = Segmentor(model, about, (64, 96)).eval()
    content = to_int8(exported.read_bytes(), model, [picture[None], picture[None, ::-1]])
    found = compare(module, session_of(content), [picture[None]], drawn=False)
    assert 1e-4 < found.error < 0.2 and found.changed < 0.05
    graph = onnx.load_from_string(content).graph
    scaled = {o for n in graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    eight = [n for n in graph.node if n.op_type != "QuantizeLinear" and {*n.input[:2]} <= scaled]
    assert {"Conv", "MatMul"} <= {node.op_type for node in eight if len(node.input) > 1}
    kept = float32_nodes(onnx.load_from_string(exported.read_bytes()), model)
    products = {node.name for node in eight if node.op_type in QUANTISED}
    assert kept and not products.intersection(kept)  # FDAM's layers, and what stands around


@pytest.mark.parametrize(
    "conv, kept",
    [
        (nn.Conv2d(32, 8, 8, 8), True),  # SegFormer-B0's first attention has it
        (nn.Conv2d(48, 8, 4, 4), True),
        (nn.Conv2d(3, 8, 8, 8), False),  # a stem
        (nn.Conv2d(32, 8, 3, 2), False),
        (nn.Conv2d(32, 32, 8, 8, groups=32), False),
        (nn.Conv2d(32, 8, 8), True),
        (nn.Conv2d(64, 8, 8, 8), False),
    ],
)
def test_what_openvino_gets_wrong_keeps_float32(conv: nn.Conv2d, kept: bool) -> None:
    pytest.importorskip("onnx")
    image = torch.zeros(1, conv.in_channels, 16, 16)
    program: Any = torch.onnx.export(conv, (image,), dynamo=True, verbose=False)
    assert len(wrong_in_openvino(program.model_proto)) == kept


def test_openvino(exported: Path, model: nn.Module, picture: np.ndarray) -> None:
    pytest.importorskip("openvino")
    about = Description.read(exported.with_suffix(".json"))
    module = Segmentor(model, about, (64, 96)).eval()
    images = [picture[None], picture[None, :50, :40]]
    found = compare(module, OpenVINOSession(exported.read_bytes()), images, drawn=False)
    assert found.error < 1e-4 and found.changed < 1e-3


def test_tensorrt_that_is_not_there_is_said(exported: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "TensorrtExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("it is there")
    with pytest.raises(UsageError, match="TensorRT is not usable here: .*CPUExecutionProvider"):
        RUNTIMES["tensorrt"](exported.read_bytes())


class Two(nn.Module):
    """What ``export`` needs of a segmentor, in two blocks."""

    align_corners, out_channels = False, 2

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(*channels, 3, padding=1), nn.Tanh())
            for channels in ((3, 4), (4, 2))
        )

    def encode_decode(self, x: Tensor, metas: list[dict[str, Any]]) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_a_wrong_export_is_refused_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    right = exporting.to_onnx

    def wrong(module: nn.Module, *rest: Any) -> bytes:
        changed = copy.deepcopy(module)
        with torch.no_grad():
            changed.get_submodule("model.blocks.1.0").weight.mul_(1.01)
        return right(changed, *rest)

    torch.manual_seed(0)
    exporting._checked(Two(), ABOUT, (16, 24), None)
    monkeypatch.setattr(exporting, "to_onnx", wrong)
    with pytest.raises(
        ExportError, match=r"not the model: in onnxruntime.* first part .* is blocks\.1, by"
    ):
        exporting._checked(Two(), ABOUT, (16, 24), None)


@pytest.mark.parametrize("scale", [None, (60, 40)])
def test_any_size_resizes_as_the_config(scale: tuple[int, int] | None) -> None:
    pytest.importorskip("onnxscript")
    about = dataclasses.replace(ABOUT, scale=scale)
    images = [np.full((height, 70, 3), 200, np.uint8) for height in (30, 70, 111)]
    content, comparisons = exporting._checked(Two(), about, None, images)
    assert comparisons["onnxruntime"].inputs == 3  # within the bounds, else it raises
    (labels, logits) = session_of(content).run(["labels", "logits"], {"image": images[0][None]})
    assert labels.shape == (1, 30, 70) and logits.shape == (1, 2, 30, 70)


def test_a_part_that_a_quantiser_took_out_is_left_out() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    names = ["blocks.0", "blocks.1"]
    core = exporting.core_of(Two(), ABOUT, (16, 24), names)
    graph = onnx.load_from_string(exporting.converted(core, ABOUT, (16, 24)))
    (lost,) = [output for output in graph.graph.output if output.name == "probe_0"]
    graph.graph.output.remove(lost)
    image = torch.zeros(1, 16, 24, 3, dtype=torch.uint8)
    found = first_difference(
        core, graph.SerializeToString(), "onnxruntime", image, names, bound=0.0
    )
    assert "blocks.1" in found and "blocks.0" not in found


def test_what_torch_cannot_export_is_said(model: nn.Module, tmp_path: Path) -> None:
    class Odd(Two):
        def encode_decode(self, x: Tensor, metas: list[dict[str, Any]]) -> Tensor:
            return super().encode_decode(x, metas)[: int(x.sum())]

    with pytest.raises(ExportError, match="torch cannot export the model"):
        exporting._checked(Odd(), ABOUT, (16, 24), None)


@pytest.mark.parametrize("size", [(10, 20), (333, 500), (500, 333), (2048, 512), (1, 900)])
@pytest.mark.parametrize("scale", [(2048, 512), (64, 64), (100, 37)])
def test_sizes_are_mmcvs(size: tuple[int, int], scale: tuple[int, int]) -> None:
    about = dataclasses.replace(ABOUT, scale=scale)
    expected = rescale_size(size[::-1], scale)
    assert Preparation(about, None).fitted(*size) == tuple(max(s, 1) for s in expected[::-1])


@pytest.mark.parametrize("size", [1, 3, (2, None), (6, 4)])
def test_pooling_of_any_map(size: Any) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(size)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(x)

    module, x = Pooled(), torch.randn(2, 3, 13, 10)
    sides = dict.fromkeys((2, 3), torch.export.Dim.DYNAMIC)
    with pooling_by_matrices(module):
        program = torch.export.export(module, (x,), dynamic_shapes=(sides,), strict=False)
    for shape in ((13, 10), (7, 4), (24, 31)):
        y = torch.randn(2, 3, *shape)
        torch.testing.assert_close(program.module()(y), module(y), rtol=1e-5, atol=1e-6)


def test_a_graph_that_cannot_be_run_is_refused(exported: Path, model: nn.Module) -> None:
    about = Description.read(exported.with_suffix(".json"))
    module = Segmentor(model, about, (64, 96)).eval()

    class Broken:
        def run(self, *_: Any) -> list[np.ndarray]:
            raise RuntimeError("no such operator\nat all")

    with pytest.raises(ExportError, match="cannot be run on 1 x 64 x 96 x 3: no such operator$"):
        compare(module, Broken(), [np.zeros((1, 64, 96, 3), np.uint8)], drawn=False)


def test_a_picture_fits_into_the_models_size() -> None:
    assert within(100, 200, 64, 96) == (48, 96)
    assert within(200, 100, 64, 96) == (64, 32)
    assert within(64, 96, 64, 96) == (64, 96)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(out="a.pt"), "ends in .onnx"),
        (dict(dynamic=True, sizes=[(32, 32)]), "one of the two"),
        (dict(precision="int4"), "expected one of fp32, fp16, int8"),
        (dict(raw=True, measured=1), "needs the processing"),
        (dict(precision="int8"), "--calibrate"),
        (dict(calibrate="photos"), "only int8"),
    ],
)
def test_wrong_arguments(
    settings: dict[str, Any], words: str, model: nn.Module, tmp_path: Path
) -> None:
    out = tmp_path / settings.pop("out", "a.onnx")
    with pytest.raises(UsageError, match=words):
        export(model, out, **settings)
    assert not [*tmp_path.iterdir()]


def test_the_metric_of_both(exported: Path, model: nn.Module, tmp_path: Path) -> None:
    from fdam_mm.data.demo.demo_set import write_demo_set

    write_demo_set(tmp_path, num_train=1, num_val=2, size=64)
    other = copy.copy(model)
    other.cfg = model.cfg.copy()
    other.cfg.test_dataloader.dataset.data_root = str(tmp_path)
    found = measure(other, exported.with_suffix(".json"), None)
    assert found["pictures"] == 2 and 0 <= found["torch"] <= 100
    assert abs(found["torch"] - found["onnx"]) < 5  # a graph of 64 x 96, pictures of 64 x 64


def test_a_description_that_is_none(exported: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(MissingFileError, match="expected the JSON of fdam export"):
        load(file)
    for content, words in {"{}": "is no JSON of fdam export", "[]": "is no JSON"}.items():
        file.write_text(content)
        with pytest.raises(ExportError, match=words):
            load(file)
    found = json.loads(exported.with_suffix(".json").read_text())
    file.write_text(json.dumps({**found, "format": 99}))
    with pytest.raises(ExportError, match="format 99"):
        load(file)
    elsewhere = [{**graph, "file": "../model.onnx"} for graph in found["graphs"]]
    file.write_text(json.dumps({**found, "graphs": elsewhere}))
    with pytest.raises(ExportError, match=r"the graph '\.\./model\.onnx', expected a file beside"):
        Description.read(file)


def test_a_graph_of_another_export(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_bytes(exported.with_suffix(".json").read_bytes())
    with pytest.raises(MissingFileError, match="beside the JSON"):
        load(tmp_path / "tiny.json")
    (tmp_path / "tiny.onnx").write_bytes(exported.read_bytes()[:-1])
    with pytest.raises(ExportError, match="is not the graph"):
        load(tmp_path / "tiny.json")


def test_raw_exports_are_for_others(tmp_path: Path) -> None:
    graph = Graph("a.onnx", (16, 24), "0")
    about = dataclasses.replace(ABOUT, processing=False, graphs=(graph,))
    (tmp_path / "a.json").write_text(about.to_json())
    assert Description.read(tmp_path / "a.json") == about
    with pytest.raises(ExportError, match="--raw"):
        load(tmp_path / "a.json")


def test_sizes_and_raw_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plain model of one block, of two sizes, and without what stands around it."""
    pytest.importorskip("onnxscript")
    from mmengine.config import Config

    from fdam_mm.cli.export import main

    config = Config.fromfile(ROOT / "configs/demo/segformer_demo.py")
    stage = dict(embed_dims=16, num_stages=1, num_layers=[1], num_heads=[1], patch_sizes=[7])
    config.model.backbone.update(**stage, strides=[4], sr_ratios=[2], out_indices=[0])
    config.model.decode_head.update(in_channels=[16], in_index=[0], channels=16)
    config.dump(tmp_path / "config.py")
    torch.save(
        dict(state_dict=load_model(config, device="cpu").state_dict()), tmp_path / "iter_1.pth"
    )
    folder = [str(tmp_path / "config.py"), str(tmp_path / "iter_1.pth")]
    main([*folder, str(tmp_path / "a.onnx"), "--size", "32x48", "48x32"])
    assert capsys.readouterr().out.count("drawn noise (no --check) logits are off by") == 2
    model = load(tmp_path / "a.json")
    assert [graph.file for graph in model.description.graphs] == [
        "a_32x48.onnx", "a_48x32.onnx",
    ]  # fmt: skip
    wide, tall = np.zeros((50, 80, 3), np.uint8), np.zeros((80, 50, 3), np.uint8)
    assert model._nearest(wide.shape[:2]) == (32, 48) and model(wide).labels.shape == (50, 80)
    assert model._nearest(tall.shape[:2]) == (48, 32) and model(tall).labels.shape == (80, 50)
    main([*folder, str(tmp_path / "b.onnx"), "--size", "32x48", "--raw"])
    session = session_of((tmp_path / "b.onnx").read_bytes())
    (logits,) = session.run(["logits"], {"image": np.zeros((3, 3, 32, 48), np.float32)})
    assert logits.shape == (3, 7, 32, 48)  # of any batch
    with pytest.raises(ExportError, match="--raw"):
        load(tmp_path / "b.json")
