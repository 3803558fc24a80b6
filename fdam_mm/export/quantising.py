"""Static quantisation to int8, with calibration pictures."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from .onnx_file import float32_nodes

QUANTISED = ("Conv", "MatMul", "Gemm")
"""Operations in int8; softmax, norms, activations and resizing keep float32."""


def to_int8(content: bytes, model: nn.Module, images: Iterable[np.ndarray]) -> bytes:
    """Convolutions and products in int8, but for FDAM's layers, what stands around the model and
    the few that OpenVINO gets wrong (:func:`wrong_in_openvino`).

    Activations are uint8, of the range that ``images`` give; weights int8, per output channel. In
    the graph stand pairs of QuantizeLinear and DequantizeLinear, which every runtime reads.

    Args:
        content: An ONNX file's.
        model: What was exported.
        images: What the graph takes, (1, ...); at least one.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self, images: Iterator[np.ndarray]) -> None:
            self._images = images

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            return None if image is None else {"image": image}

    graph = onnx.load_from_string(content)
    kept = float32_nodes(graph, model) + wrong_in_openvino(graph)
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        file = Path(folder) / "int8.onnx"
        quantize_static(
            graph, file, Reader(iter(images)), QuantFormat.QDQ, [*QUANTISED], per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=kept,
        )  # fmt: skip
        return file.read_bytes()


def wrong_in_openvino(graph: Any) -> list[str]:
    """Names of convolutions that OpenVINO gets wrong in int8 on Intel CPUs with AMX.

    They have kernels of 4 on and 16 to 60 input channels (docs/export.md); SegFormer-B0's first
    attentions have two. What they compute is a small part of any model's work.

    Args:
        graph: An ONNX model.
    """
    shapes = {weight.name: weight.dims for weight in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type == "Conv" and node.input[1] in shapes and _is_wrong(shapes[node.input[1]])
    ]


def _is_wrong(weight: Sequence[int]) -> bool:
    """Of a shape (C_out, C_in, *kernel)."""
    return 8 < weight[1] < 64 and max(weight[2:]) >= 4


class _without_advice:
    """Its root logger asks for another pass over the graph; all of it was done."""

    def __enter__(self) -> None:
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *_: Any) -> None:
        logging.getLogger().setLevel(self._level)
