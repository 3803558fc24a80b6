"""Say what a data set without pictures, or one that cannot be read, was looking for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from fdam_mm.data.formats.dota import parse_label
from fdam_mm.errors import FDAMError, LabelError, LayoutError

from .datasets import ADVICE, is_a

_TOOLKITS = {"mmengine", "mmseg", "mmdet", "mmrotate", "fdam_mm"}


@contextmanager
def naming_unreadable_sets(dataloader: Any) -> Iterator[None]:
    """Turn what a data set raises while it is built into an error that names its files.

    Raises:
        LayoutError: It is empty.
        LabelError: A label file of DOTA's is wrong, or a JSON of annotations.
        Exception: All others are as they were.
    """
    try:
        yield
    except FDAMError:
        raise
    except Exception as error:
        settings = dataloader.get("dataset") if isinstance(dataloader, Mapping) else None
        for dataset in _lazily(settings):
            if is_a(dataset, "DOTADataset") and dataset.ann_file:
                _require_lines(dataset, error)
            _require_pictures(dataset, error)
        raise


def _lazily(settings: Any) -> Iterator[Any]:
    """The plain data sets of a config, which have not looked at the disk."""
    if not isinstance(settings, Mapping):
        return
    inner = settings.get("datasets") or ([settings["dataset"]] if "dataset" in settings else [])
    for part in inner:
        yield from _lazily(part)
    if not inner:
        try:
            yield DATASETS.build({**settings, "lazy_init": True, "pipeline": []})
        except Exception:  # its settings are wrong, which the first error says
            return


def _require_lines(dataset: Any, cause: Exception) -> None:
    """Raise for the first line of DOTA's label files that mmrotate cannot read."""
    classes = dataset.metainfo["classes"]
    for file in sorted(Path(dataset.ann_file).glob("*.txt")):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LabelError(f"{file}: unreadable ({error}), expected text; {ADVICE}") from cause
        for number, line in enumerate(lines, start=1):
            if fault := _line_fault(line, classes):
                raise LabelError(f"{file}:{number}: {fault}; {ADVICE}") from cause


def _line_fault(line: str, classes: tuple[str, ...]) -> str | None:
    try:
        category = parse_label(line)[1]
    except ValueError as error:
        return str(error)
    if len(line.split()) == 9:
        return "no difficulty, expected x1 y1 x2 y2 x3 y3 x4 y4 category difficult"
    if category not in classes:
        return f"category {category!r}, expected one of {', '.join(classes)}"
    return None


def _require_pictures(dataset: Any, cause: Exception) -> None:
    """Raise if the data set lists nothing, or fails over its JSON."""
    try:
        count = len(dataset.load_data_list())
    except Exception as error:  # it is not empty, or says why it cannot be read
        if str(dataset.ann_file).endswith(".json") and _is_read_by_toolkits(dataset):
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise LabelError(
                f"{dataset.ann_file}: unreadable ({reason}), expected the annotations of a "
                f"{type(dataset).__name__} as JSON; {ADVICE}"
            ) from cause
        return
    if count == 0:
        raise LayoutError(describe_empty(dataset)) from cause


def _is_read_by_toolkits(dataset: Any) -> bool:
    readers = (type(dataset).load_data_list, getattr(type(dataset), "parse_data_info", None))
    owners = {reader.__module__.partition(".")[0] for reader in readers if reader is not None}
    return owners <= _TOOLKITS


def describe_empty(dataset: Any) -> str:
    """Say where a data set without pictures looked for them."""
    prefix = next(iter((dataset.data_prefix or {}).values()), None)
    folder = Path(prefix or dataset.data_root or ".")
    suffix = getattr(dataset, "img_suffix", "")
    wanted = f"*.{suffix.removeprefix('.')}" if suffix else "picture"
    others = sorted({f.suffix for f in folder.glob("*") if f.suffix}) if folder.is_dir() else []
    seen = f" (it has {', '.join(others[:5])})" if others else ""
    source = f" for the list {dataset.ann_file}" if dataset.ann_file else ""
    return (
        f"{folder}: no {wanted}{source}{seen}, expected the pictures of a "
        f"{type(dataset).__name__}; set its data_root, data_prefix, ann_file or img_suffix; "
        f"{ADVICE}"
    )
