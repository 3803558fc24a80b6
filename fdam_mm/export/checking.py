"""Whether an export is the model: its numbers and its labels, on pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from fdam_mm.apis.inputs import find_pictures
from fdam_mm.errors import ExportError, UsageError
from fdam_mm.runtime.description import Description, Size
from fdam_mm.toolkits.optional import require

from .agreeing import AGREE, largest
from .core import Core

# Of each precision: the largest error of a logit over the largest logit, and the largest share of
# pixels that may change their class.
BOUNDS = {"fp32": (1e-4, 1e-3), "fp16": (2e-2, 1e-2), "int8": (2e-1, 5e-2)}


@dataclass(frozen=True)
class Comparison:
    """What an export did on pictures, beside torch.

    Attributes:
        inputs: How many.
        drawn: Whether they were drawn noise, for want of pictures.
        worst: Which of the graph's results is off most: ``logits``, or boxes or masks.
        largest_error: Of any number of these.
        largest_logit: Of torch's, by its absolute value.
        changed: Share of pixels whose class is another; of masks, that are on the other side.
    """

    inputs: int
    drawn: bool
    worst: str
    largest_error: float
    largest_logit: float
    changed: float

    @property
    def error(self) -> float:
        """The largest error over the largest logit."""
        return self.largest_error / max(self.largest_logit, 1e-12)


class Session(Protocol):
    """A graph in a runtime, on the CPU."""

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]: ...


def session_of(content: bytes) -> Session:
    """onnxruntime's of an ONNX file's content."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of every constant that it folds
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class OpenVINOSession:
    """OpenVINO's, in the precision that the graph says, on as many threads as torch."""

    def __init__(self, content: bytes) -> None:
        openvino = require("openvino", "comparing in OpenVINO", "fdam_mm[openvino]")
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._model = core.compile_model(core.read_model(content), "CPU", settings)

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        found = self._model(inputs)
        return [found[name] for name in outputs]


def tensorrt_session(content: bytes) -> Session:
    """TensorRT's, on the first GPU, as onnxruntime builds its engines.

    What TensorRT cannot run is left to CUDA.

    Raises:
        UsageError: onnxruntime has no TensorRT, or cannot load it.
    """
    import onnxruntime

    wanted = "TensorrtExecutionProvider"
    reason = f"this onnxruntime has {', '.join(onnxruntime.get_available_providers())} alone"
    if wanted in onnxruntime.get_available_providers():
        providers = [wanted, "CUDAExecutionProvider"]
        session = onnxruntime.InferenceSession(content, providers=providers)
        if wanted in session.get_providers():
            return session
        reason = "its libraries cannot be loaded, as onnxruntime's warning says"
    raise UsageError(
        f"TensorRT is not usable here: {reason}; it needs an NVIDIA GPU, "
        "pip install onnxruntime-gpu tensorrt"
    )


RUNTIMES: dict[str, Callable[[bytes], Session]] = {
    "onnxruntime": session_of,
    "openvino": OpenVINOSession,
    "tensorrt": tensorrt_session,
}


def compare(
    module: Core, session: Session, images: Iterable[np.ndarray], drawn: bool
) -> Comparison:
    """Run both on each of ``images``."""
    error, off, most, worst = -1.0, 0.0, 0.0, module.compared[0]
    changed = pixels = inputs = 0
    for image in images:
        with torch.no_grad():
            results = module(torch.from_numpy(image))
        every = dict(zip(module.outputs, results, strict=True))
        expected = {name: every[name].numpy() for name in module.compared}
        found = dict(zip(module.compared, _run(session, image, module.compared), strict=True))
        agreed = AGREE[module.task](expected, found)
        for name in module.compared:
            largest_error, largest_value = agreed.errors[name]
            if largest_error / largest_value > error:
                worst, off, most = name, largest_error, largest_value
                error = off / most
        changed += agreed.changed
        pixels += agreed.pixels
        inputs += 1
    return Comparison(inputs, drawn, worst, off, most, changed / max(pixels, 1))


def _run(session: Session, image: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
    """Raises ExportError in place of whatever a runtime raises for a graph that it cannot run."""
    try:
        return session.run(outputs, {"image": image})
    except Exception as error:
        shape = " x ".join(map(str, image.shape))
        reason = str(error).partition("\n")[0]
        raise ExportError(f"the export cannot be run on {shape}: {reason}") from error


def first_difference(
    core: Core, content: bytes, runtime: str, image: Tensor, names: Sequence[str], bound: float
) -> str:
    """Which stage or block is the first whose result is off by more than ``bound`` of its largest.

    Args:
        core: With probes of ``names``.
        content: Of its export; a probe that a quantiser took out of it is left out.
        runtime: One of ``RUNTIMES``.
        image: An input.
        names: Of the parts.
        bound: Of the error over the largest value.
    """
    import onnx

    with torch.no_grad():
        probed = [
            *zip(names, core.outputs[-len(names) :], core(image)[-len(names) :], strict=True)
        ]
    there = {each.name for each in onnx.load_from_string(content).graph.output}
    probed = [probe for probe in probed if probe[1] in there]
    outputs = [output for _, output, _ in probed]
    found = RUNTIMES[runtime](content).run(outputs, {"image": image.numpy()})
    errors = []
    for (name, _, theirs), ours in zip(probed, found, strict=True):
        scale = max(largest(theirs.numpy()), 1e-12)
        errors.append((name, largest(ours - theirs.numpy()) / scale))
    over = next((pair for pair in errors if not pair[1] <= bound), None)
    if over is None:
        name, worst = max(errors, key=lambda pair: pair[1])
        return f"no stage or block is off by as much; {name} is the most, by {worst:.1e}"
    return (
        f"the first part that is off by more is {over[0]}, by {over[1]:.1e} of its largest value"
    )


def pictures_for(about: Description, size: Size | None, inputs: Any) -> Iterator[np.ndarray]:
    """What the graph takes, (1, ...), of each picture; of drawn noise where ``inputs`` is None."""
    for pixels in _drawn(size) if inputs is None else _read(inputs):
        if about.stride is not None and size is not None:
            pixels = pixels[: size[0], : size[1]]
        if about.processing:
            yield np.ascontiguousarray(pixels)[None]
            continue
        if size is not None:
            pixels = cv2.resize(pixels, size[::-1])
        if about.bgr_to_rgb:
            pixels = pixels[..., ::-1]
        normalised = (pixels - np.array(about.mean)) / np.array(about.std)
        yield normalised.transpose(2, 0, 1)[None].astype(np.float32)


def _read(inputs: Any) -> Iterator[np.ndarray]:
    for picture in find_pictures(inputs):
        height, width = picture.size
        ((_, pixels),) = picture.windows(np.array([[0, 0, width, height]]))
        if pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ExportError(
                f"{picture.name} has {pixels.shape[2]} bands of {pixels.dtype}, expected 3 of "
                "uint8"
            )
        yield pixels


def _drawn(size: Size | None) -> Iterator[np.ndarray]:
    """Two pictures of smooth noise."""
    height, width = size or (128, 160)
    generator = np.random.default_rng(0)
    for cells in (8, 32):
        coarse = generator.integers(0, 256, (cells, cells, 3), np.uint8)
        yield cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
