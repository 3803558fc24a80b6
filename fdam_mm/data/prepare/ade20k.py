"""ADE20K (SceneParse150): unpack the official archive, or link an unpacked folder, with checks.

The layout, as mmseg's `ADE20KDataset` configs expect it below `data/ade`:

    ADEChallengeData2016/
        images/training/NAME.jpg         annotations/training/NAME.png
        images/validation/NAME.jpg       annotations/validation/NAME.png
"""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from fdam_mm.errors import PreparationError
from fdam_mm.files import new_folder

from .archives import (
    count_problems,
    extract,
    is_there,
    link_folder,
    open_zip,
    require_complete,
    require_space,
    safe_members,
)

FOLDER = "ADEChallengeData2016"
SPLITS = ("training", "validation")
OFFICIAL_COUNTS = {"training": 20210, "validation": 2000}


def prepare_ade20k(src: Path, dst: Path, allow_partial: bool = False) -> bool:
    """Make `dst/ADEChallengeData2016` from the official zip or from the folder unpacked from it.

    A zip is unpacked into a temporary folder beside the target, which is then renamed. A folder is
    neither moved nor copied: the target becomes a symbolic link to it. Nothing is overwritten.

    Args:
        src: `ADEChallengeData2016.zip`, or the unpacked folder or its parent.
        dst: folder to hold `ADEChallengeData2016`; made when missing.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        True when the target was made, False when it was there already and is complete.

    Raises:
        PreparationError: the source is missing, broken, unsafe or incomplete, the disk is too
            small, or the target exists and is not complete.
    """
    target = dst / FOLDER
    if is_there(target):
        problems = layout_problems(_files_below(target), allow_partial)
        advice = "it exists and is left as it is, so move it away first"
        require_complete(problems, target, FOLDER, advice)
        return False
    if src.is_dir():
        _link_folder(src, target, allow_partial)
    elif src.is_file():
        _unpack(src, target, allow_partial)
    else:
        raise PreparationError(
            f"{src} does not exist; expected {FOLDER}.zip or the folder unpacked from it"
        )
    return True


def layout_problems(names: Iterable[PurePosixPath], allow_partial: bool = False) -> list[str]:
    """Check file names against the layout.

    Args:
        names: paths of files below `ADEChallengeData2016`, such as `images/training/a.jpg`.
        allow_partial: accept other numbers of pictures than the official ones.

    Returns:
        One line for each problem; an empty list when the layout is complete.
    """
    stems: dict[tuple[str, str], set[str]] = {}
    for name in names:
        if len(name.parts) == 3 and not name.name.startswith("."):
            kind, split, _ = name.parts
            if name.suffix == {"images": ".jpg", "annotations": ".png"}.get(kind):
                stems.setdefault((kind, split), set()).add(name.stem)
    problems: list[str] = []
    for split in SPLITS:
        images = stems.get(("images", split), set())
        annotations = stems.get(("annotations", split), set())
        official = OFFICIAL_COUNTS[split]
        problems += count_problems(f"images/{split}", len(images), official, allow_partial)
        problems += [
            f"images/{split}/{stem}.jpg has no annotation, expected annotations/{split}/{stem}.png"
            for stem in sorted(images - annotations)
        ]
        problems += [
            f"annotations/{split}/{stem}.png has no image, expected images/{split}/{stem}.jpg"
            for stem in sorted(annotations - images)
        ]
    return problems


def _files_below(folder: Path) -> Iterator[PurePosixPath]:
    """Yield the files three levels down, relative to the folder."""
    for path in folder.glob("*/*/*"):
        yield PurePosixPath(path.relative_to(folder).as_posix())


def _link_folder(src: Path, target: Path, allow_partial: bool) -> None:
    folder = src / FOLDER if (src / FOLDER).is_dir() else src
    problems = layout_problems(_files_below(folder), allow_partial)
    require_complete(problems, folder, FOLDER, "unpack the official archive again")
    link_folder(folder, target)


def _unpack(src: Path, target: Path, allow_partial: bool) -> None:
    with open_zip(src) as archive:
        members = {
            path.relative_to(FOLDER): info
            for path, info in safe_members(archive, src).items()
            if len(path.parts) > 1 and path.parts[0] == FOLDER
        }
        problems = layout_problems(members, allow_partial)
        require_complete(problems, src, FOLDER, "download the official archive again")
        require_space(members.values(), target)
        with new_folder(target) as folder:
            extract(archive, members, folder, FOLDER)
