"""COCO 2017: unpack the official archives, or link an unpacked folder, with checks.

The layout, as mmdet's configs expect it in `data/coco`:

    train2017/NAME.jpg                          val2017/NAME.jpg
    annotations/instances_train2017.json        annotations/instances_val2017.json
    annotations/panoptic_train2017.json         annotations/panoptic_val2017.json
    annotations/panoptic_train2017/NAME.png     annotations/panoptic_val2017/NAME.png

The panoptic part may be missing as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fdam_mm.errors import PreparationError
from fdam_mm.files import new_folder

from .archives import (
    Members,
    count_problems,
    extract,
    is_there,
    link_folder,
    open_zip,
    require_complete,
    require_space,
    safe_members,
)

ZIPS = ("annotations_trainval2017.zip", "val2017.zip", "train2017.zip")
PANOPTIC_ZIP = "panoptic_annotations_trainval2017.zip"
OFFICIAL_COUNTS = {"train2017": 118287, "val2017": 5000}
_NAME = "COCO 2017"


def prepare_coco(src: Path, dst: Path, allow_partial: bool = False) -> bool:
    """Make `dst` from a folder with the official zips, or link it to an unpacked folder.

    Zips are unpacked into a temporary folder beside `dst`, which is then renamed. A folder that is
    unpacked already is neither moved nor copied: `dst` becomes a symbolic link to it. Nothing is
    overwritten.

    Args:
        src: folder with the zips of `ZIPS`, perhaps with `PANOPTIC_ZIP`, or in the layout above.
        dst: the folder to make.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        True when `dst` was made, False when it was there already and is complete.

    Raises:
        PreparationError: the source is missing, broken, unsafe or incomplete, the disk is too
            small, or `dst` exists and is not complete.
    """
    if is_there(dst):
        problems = layout_problems(_files_below(dst), allow_partial)
        advice = "it exists and is left as it is, so move it away first"
        require_complete(problems, dst, _NAME, advice)
        return False
    if not src.is_dir():
        raise PreparationError(
            f"{src} is no folder, expected one with {', '.join(ZIPS)}, or with these unpacked"
        )
    problems = layout_problems(_files_below(src), allow_partial)
    if not problems:
        link_folder(src, dst)
    elif any((src / name).is_file() for name in (*ZIPS, PANOPTIC_ZIP)):
        _unpack(src, dst, allow_partial)
    else:
        advice = f"expected {', '.join(ZIPS)} in it, or all of these unpacked"
        require_complete(problems, src, _NAME, advice)
    return True


def has_panoptic(dst: Path) -> bool:
    """Whether a prepared folder has the panoptic part."""
    return (dst / "annotations/panoptic_val2017.json").is_file()


def layout_problems(names: Iterable[PurePosixPath], allow_partial: bool = False) -> list[str]:
    """Check file names against the layout.

    Args:
        names: paths of files, such as `train2017/a.jpg`.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        One line for each problem; an empty list when the layout is complete.
    """
    names = [name for name in names if not name.name.startswith(".")]
    counts = Counter((str(name.parent), name.suffix) for name in names)
    files = {str(name) for name in names if name.suffix == ".json"}
    needed = [f"annotations/instances_{split}.json" for split in OFFICIAL_COUNTS]
    folders = [(split, ".jpg", count) for split, count in OFFICIAL_COUNTS.items()]
    if any(str(name).startswith("annotations/panoptic_") for name in names):
        for split, count in OFFICIAL_COUNTS.items():
            needed.append(f"annotations/panoptic_{split}.json")
            folders.append((f"annotations/panoptic_{split}", ".png", count))
    problems = [f"{file} is missing" for file in needed if file not in files]
    for folder, suffix, official in folders:
        problems += count_problems(folder, counts[folder, suffix], official, allow_partial)
    return problems


def _files_below(folder: Path) -> Iterator[PurePosixPath]:
    for pattern in ("*/*", "annotations/panoptic_*/*"):
        for path in folder.glob(pattern):
            yield PurePosixPath(path.relative_to(folder).as_posix())


def _unpack(src: Path, dst: Path, allow_partial: bool) -> None:
    lacking = [name for name in ZIPS if not (src / name).is_file()]
    if lacking:
        raise PreparationError(f"{src} lacks {', '.join(lacking)}; download all of {ZIPS}")
    parts = {src / n: _members(src / n) for n in (PANOPTIC_ZIP, *ZIPS) if (src / n).is_file()}
    advice = "download the official archives again"
    plain = [path for file in parts if file.name in ZIPS for path in parts[file]]
    require_complete(layout_problems(plain, allow_partial), src, _NAME, advice)
    require_space((info for members in parts.values() for info in members.values()), dst)
    with new_folder(dst) as folder:
        for file, members in parts.items():
            with open_zip(file) as archive:
                extract(archive, members, folder, file.name)
            for inner in sorted(folder.glob("annotations/panoptic_*.zip")):
                _unpack_pngs(inner, dst)
        problems = layout_problems(_files_below(folder), allow_partial)
        require_complete(problems, src, _NAME, advice)


def _unpack_pngs(inner: Path, dst: Path) -> None:
    """Replace a zip of PNGs, which the panoptic archive holds, by its folder."""
    with open_zip(inner) as archive:
        members = safe_members(archive, inner)
        members = {path: info for path, info in members.items() if path.parts[0] == inner.stem}
        require_space(members.values(), dst)
        extract(archive, members, inner.parent, inner.name)
    inner.unlink()


def _members(file: Path) -> Members:
    """The files of an archive that belong to the layout, and the zips of PNGs."""
    with open_zip(file) as archive:
        members = safe_members(archive, file)
    tops = (*OFFICIAL_COUNTS, "annotations")
    members = {p: info for p, info in members.items() if len(p.parts) == 2 and p.parts[0] in tops}
    if not members:  # also where the end of an inner zip passes for that of a truncated one
        raise PreparationError(f"{file} holds no files of {_NAME}; download it again")
    return members
