"""Which convolutions OpenVINO gets wrong in 8 bits on this CPU.

    python benchmarks/openvino_int8.py --out benchmarks/results/openvino_int8.json

Each is one convolution with 32 output channels on 32 x 32 noise, activations in uint8 and weights
in int8, in onnxruntime and in OpenVINO. ``off``, where it is above 0.01, is the largest difference
over the largest value. ``fdam_mm.export.quantising.wrong_in_openvino`` follows what it found.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

from fdam_mm.benchmarking.results import Cases, Measurement, measure_each
from fdam_mm.export.checking import OpenVINOSession, session_of
from fdam_mm.files import require_writable

COMMAND = "benchmarks/openvino_int8.py"
SIDE, OUT_CHANNELS = 32, 32
CHANNELS = (3, 8, 16, 24, 32, 40, 48, 56, 60, 64, 96)
WINDOWS = (  # kernel, stride
    *((2, 2), (3, 2), (4, 1), (4, 2), (4, 4), (5, 2), (5, 4), (5, 5), (6, 2), (6, 6)),
    *((7, 2), (7, 4), (7, 7), (8, 1), (8, 2), (8, 4), (8, 8), (16, 16)),
)


def quantised_convolution(channels: int, kernel: int, stride: int) -> onnx.ModelProto:
    """Of x (1, channels, SIDE, SIDE)."""
    generator = np.random.default_rng(0)
    shape = (OUT_CHANNELS, channels, kernel, kernel)
    constants = dict(
        weight=generator.integers(-127, 128, shape).astype(np.int8),
        weight_scale=generator.uniform(5e-4, 15e-4, OUT_CHANNELS).astype(np.float32),
        weight_zero=np.zeros(OUT_CHANNELS, np.int8),
        x_scale=np.float32(8 / 255),
        x_zero=np.uint8(128),
    )
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "x_scale", "x_zero"], ["d"]),
        helper.make_node(
            "DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0
        ),
        helper.make_node(
            "Conv", ["d", "w"], ["y"], kernel_shape=[kernel] * 2, strides=[stride] * 2
        ),
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, SIDE, SIDE])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "convolution", [image], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def difference(channels: int, kernel: int, stride: int) -> float:
    """Largest, over onnxruntime's largest value."""
    content = quantised_convolution(channels, kernel, stride).SerializeToString()
    image = np.random.default_rng(1).standard_normal((1, channels, SIDE, SIDE)).astype(np.float32)
    (expected,) = session_of(content).run(["y"], {"x": image})
    (found,) = OpenVINOSession(content).run(["y"], {"x": image})
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def measured(channels: int) -> Cases:
    return [
        dict(channels=channels, kernel=kernel, stride=stride, off=round(off, 4))
        for kernel, stride in WINDOWS
        if (off := difference(channels, kernel, stride)) > 0.01
    ] or [dict(channels=channels)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    require_writable(args.out)
    measurements = [
        Measurement(dict(channels=channels), lambda c=channels: measured(c))
        for channels in CHANNELS
    ]
    results = measure_each(measurements, COMMAND, "cpu", args.out, openvino=openvino.__version__)
    for case in results["cases"]:
        if "off" in case:
            print("{channels} channels, {kernel} / {stride}: {off}".format(**case))


if __name__ == "__main__":
    main()
