"""``load``: an exported model for its task."""

from pathlib import Path

from fdam_mm.errors import ExportError

from .description import Description
from .model import Model
from .rotated import Oriented
from .segmentor import Segmentor


def load(path: str | Path, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> Model:
    """A model that ``fdam export`` wrote.

    Args:
        path: Its JSON, or its ONNX file with the JSON beside it.
        providers: Of onnxruntime, in the order of preference.

    Raises:
        MissingFileError: A file is not there.
        ExportError: It is no such model, or one without processing.
    """
    file = Path(path).with_suffix(".json")
    description = Description.read(file)
    if not description.processing:
        raise ExportError(f"{file} was exported with --raw; expected one that takes pictures")
    if description.task == "instances":
        from .instances import Instances  # which needs pycocotools

        return Instances(description, file.parent, providers)
    if description.task == "rotated":
        return Oriented(description, file.parent, providers)
    return Segmentor(description, file.parent, providers)
