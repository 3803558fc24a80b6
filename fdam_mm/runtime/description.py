"""What an exported model is: the JSON beside its graphs, all that a runtime must know."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fdam_mm.errors import ExportError, MissingFileError

FORMAT = 1
"""Of the JSON; a number that we do not know is refused."""

TASKS = ("segmentation", "instances", "rotated")

Size = tuple[int, int]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Graph:
    """One ONNX file.

    Attributes:
        file: Its name, beside the JSON.
        size: Height and width that the model inside computes at; None takes any.
        sha256: Of its content.
    """

    file: str
    size: Size | None
    sha256: str


@dataclass(frozen=True)
class Suppression:
    """Of rotated boxes, after the graph.

    Attributes:
        iou_threshold: Above which the worse of two boxes goes.
        score_threshold: Below which none counts.
        max_per_image: Boxes kept at most.
    """

    iou_threshold: float
    score_threshold: float
    max_per_image: int


@dataclass(frozen=True)
class Description:
    """A model's.

    Attributes:
        task: One of ``TASKS``.
        name: Of the config.
        graphs: One, or one for each size.
        processing: Whether the graphs take pictures, (B, h, w, 3) uint8 BGR, and give ``labels``
            (B, h, w) and ``logits`` (B, C, h, w), or objects; else they take normalised
            (B, 3, H, W) float32 and give what the model computes, ``logits`` and more.
        precision: ``fp32``, ``fp16`` or ``int8``.
        classes: Names, by label.
        palette: RGB, by label.
        offset: What label files add, see :class:`fdam_mm.apis.SegmentationResult`.
        threshold: Of the sigmoid where there is but one logit.
        scale: Width and height that the config's pipeline resizes to; None leaves pictures be.
        keep_ratio: Whether ``scale`` is a bound rather than the size itself.
        stride: Down and to the right, of windows of the graph's size; None predicts at once.
        mean: RGB or BGR, as ``bgr_to_rgb`` says.
        std: Likewise.
        bgr_to_rgb: Whether the model wants RGB.
        align_corners: Of the resizing of logits.
        suppression: Of rotated boxes; None for other tasks.
        float32: Modules that keep float32 in a smaller precision: FDAM's layers.
        versions: Packages that made it.
        check: What was measured of it against torch.
    """

    task: str
    name: str
    graphs: tuple[Graph, ...]
    processing: bool
    precision: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    offset: int
    threshold: float | None
    scale: Size | None
    keep_ratio: bool
    stride: Size | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr_to_rgb: bool
    align_corners: bool
    suppression: Suppression | None
    float32: tuple[str, ...]
    versions: dict[str, str]
    check: dict[str, Any] | None = None

    def to_json(self) -> str:
        return json.dumps(dict(format=FORMAT, **asdict(self)), indent=1) + "\n"

    @staticmethod
    def read(path: Path) -> "Description":
        """Read the JSON.

        Raises:
            MissingFileError: There is none.
            ExportError: It is none of ours, or of another version.
        """
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist; expected the JSON of fdam export")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != FORMAT or found["task"] not in TASKS:
                raise ExportError(
                    f"{path} has format {found['format']!r} and task {found['task']!r}, expected "
                    f"format {FORMAT} and one of {', '.join(TASKS)}; export it with this version"
                )
            values = {field.name: _frozen(found[field.name]) for field in fields(Description)}
            values["graphs"] = tuple(Graph(**g) for g in values["graphs"])
            if values["suppression"] is not None:
                values["suppression"] = Suppression(**values["suppression"])
            for graph in values["graphs"]:
                if Path(graph.file).name != graph.file:
                    raise ExportError(
                        f"{path} names the graph {graph.file!r}, expected a file beside it"
                    )
            return Description(**values)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, ExportError):
                raise
            reason = f"{type(error).__name__}: {error}"
            raise ExportError(f"{path} is no JSON of fdam export ({reason})") from error


def _frozen(value: Any) -> Any:
    """Lists as tuples, however deep."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
