"""Pictures and the label files that belong to them, by the names of their folders and files.

``images/train/a.jpg`` belongs to ``labels/train/a.txt``, ``train/a.jpg`` to ``train/a_mask.png``
or ``train/a.json``: paths that are equal where the words for "pictures" and "labels" are left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fdam_mm.data.check.problems import Problem

from .folder import SPLITS, Folder, split_of
from .labelled import Part

IMAGE_FOLDERS = frozenset(
    ("images", "image", "imgs", "img", "img_dir", "images_png", "jpegimages", "pictures", "photos",
     "rgb", "input")
)  # fmt: skip


@dataclass
class Pairs:
    """Pictures with their label files, and what has no partner."""

    matched: list[tuple[PurePosixPath, PurePosixPath]] = field(default_factory=list)
    without_labels: list[PurePosixPath] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def pair(
    folder: Folder,
    pictures: Iterable[PurePosixPath],
    labels: Iterable[PurePosixPath],
    label_folders: Sequence[str],
    endings: Sequence[str] = (),
) -> Pairs:
    """Match pictures and label files.

    Args:
        folder: Of both.
        pictures: Candidates.
        labels: Candidates.
        label_folders: Names of folders of labels, in lower case.
        endings: What names of labels may have behind those of pictures.
    """
    of_key: dict[tuple[str, ...], PurePosixPath] = {}
    result = Pairs()
    for file in pictures:
        key = _key(file, IMAGE_FOLDERS)
        if key in of_key:
            other = of_key[key]
            found = f"a second picture of this name beside {other}"
            result.problems.append(Problem(folder.path(file), found, "one for its labels"))
        else:
            of_key[key] = file
    words, used = frozenset(label_folders), set()
    for file in labels:
        key = _key(file, words)
        keys = [key] + [
            (*key[:-1], key[-1].removesuffix(end)) for end in endings if key[-1].endswith(end)
        ]
        partner = next((k for k in keys if k in of_key), None)
        if partner is None:
            found = "labels without a picture"
            expected = f"a picture called {keys[-1][-1]} ({key[-1]}.jpg or another suffix)"
            result.problems.append(Problem(folder.path(file), found, expected))
        elif partner in used:
            found = f"a second label file of {of_key[partner]}"
            result.problems.append(Problem(folder.path(file), found, "one for each picture"))
        else:
            used.add(partner)
            result.matched.append((of_key[partner], file))
    result.matched.sort()
    result.without_labels = sorted(file for key, file in of_key.items() if key not in used)
    return result


def parts_of(
    folder: Folder, matched: list[tuple[PurePosixPath, PurePosixPath]]
) -> tuple[Part, ...]:
    """A part for each split whose pictures, and labels, are of one folder and one suffix.

    None at all where one split is not, or where a folder serves two.
    """
    places: dict[str | None, set[tuple]] = {}
    for image, label in matched:
        ending = label.name.removeprefix(image.stem)
        places.setdefault(split_of(image), set()).add((*_base(image, label), image.suffix, ending))
    if not places or any(len(found) != 1 for found in places.values()):
        return ()
    parts = [
        Part(split, folder.path(images), folder.path(labels), image_suffix, label_suffix)
        for split, ((images, labels, image_suffix, label_suffix),) in places.items()
    ]
    apart = len({part.images for part in parts}) == len(parts)
    mixed = any(p.images == p.labels and p.image_suffix == p.label_suffix[-4:] for p in parts)
    return tuple(parts) if apart and not mixed else ()


def _base(image: PurePosixPath, label: PurePosixPath) -> tuple[PurePosixPath, PurePosixPath]:
    """The folders of pictures and of labels below which the two have one path."""
    images, labels = list(image.parts[:-1]), list(label.parts[:-1])
    while images and labels and images[-1] == labels[-1]:
        if images[-1].lower() in SPLITS or images[-1].lower() in IMAGE_FOLDERS:
            break
        images.pop()
        labels.pop()
    return PurePosixPath(*images), PurePosixPath(*labels)


def in_folder_of(file: PurePosixPath, words: Iterable[str]) -> bool:
    """Whether one of a path's folders has one of these names, whatever the case."""
    return any(part.lower() in words for part in file.parts[:-1])


def name_of(file: PurePosixPath) -> str:
    """A picture's name: its path less suffix and the folders called "images" or as a split."""
    parts = [p for p in file.parts[:-1] if p.lower() not in IMAGE_FOLDERS | SPLITS.keys()]
    return "/".join([*parts, file.stem])


def _key(file: PurePosixPath, words: frozenset[str]) -> tuple[str, ...]:
    folders = tuple(part for part in file.parts[:-1] if part.lower() not in words)
    return (*folders, file.stem)
