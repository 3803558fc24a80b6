"""The data of a start: which pictures train, which validate, as the toolkits read them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fdam_mm.data.own import Inspection, LabelledPicture, ObjectLabels, Part, PictureFacts
from fdam_mm.errors import UsageError
from fdam_mm.files import write_atomically

from .rules import split_names


@dataclass(frozen=True)
class Split:
    """One split.

    Attributes:
        name: "train", "val" or "test".
        pictures: What is in it.
        part: Where its pictures and labels are; None where they are written anew.
        own: Whether its JSON is the start's, in ``splits/``.
    """

    name: str
    pictures: tuple[PictureFacts, ...]
    part: Part | None = None
    own: bool = False


def find_splits(found: Inspection, single: bool = False) -> dict[str, Split]:
    """Train, val, and test where there is one; the set's own splits, else a fifth validates.

    With ``single`` a lone picture to train on is taken, without a split to validate.

    Raises:
        UsageError: It has nothing to train on, or to validate on.
    """
    parts = {part.split or "train": part for part in found.parts}
    usable: dict[str, list[PictureFacts]] = {}
    for picture in found.pictures:
        if picture.has_labels and picture.size:
            usable.setdefault(picture.split or "train", []).append(picture)
    splits = {s: Split(s, tuple(of), parts.get(s)) for s, of in usable.items()}
    if "train" not in splits:
        raise UsageError(f"{found.folder} has no pictures with labels to train on")
    if "val" not in splits:
        train = splits["train"]
        names = [p.name for p in train.pictures]
        keep, held = split_names(names, _classes_of(found, names))
        if not held and single:
            return splits
        if not held:
            raise UsageError(f"{found.folder} has one picture; label another one to validate on")
        for name, chosen in (("train", set(keep)), ("val", set(held))):
            pictures = tuple(p for p in train.pictures if p.name in chosen)
            splits[name] = Split(name, pictures, train.part)
    return splits


def write_lists(splits: dict[str, Split], folder: Path) -> None:
    """``splits/NAME.txt``: the pictures' names, one a line."""
    for split in splits.values():
        text = "".join(f"{picture.name}\n" for picture in split.pictures)
        write_atomically(folder / "splits" / f"{split.name}.txt", text)


def write_coco(splits: dict[str, Split], folder: Path, anew: bool = False) -> dict[str, Split]:
    """COCO's JSON of each split that shares its file with another, in ``splits/NAME.json``.

    With ``anew`` of every split, the classes with single objects first, as heads count them: mmdet
    takes labels in the order of the JSON.
    """
    files = [split.part.labels for split in splits.values() if split.part]
    written = {}
    for name, split in splits.items():
        assert split.part is not None
        if files.count(split.part.labels) == 1 and not anew:
            written[name] = split
            continue
        file = folder / "splits" / f"{name}.json"
        write_atomically(file, json.dumps(_chosen(split)))
        written[name] = replace(split, part=replace(split.part, labels=file), own=True)
    return written


def _classes_of(found: Inspection, names: Sequence[str]) -> dict[str, frozenset[int]]:
    wanted = set(names)
    return {
        picture.name: _labels_in(found, picture)
        for picture in found.labelled.pictures
        if picture.name in wanted
    }


def _labels_in(found: Inspection, picture: LabelledPicture) -> frozenset[int]:
    if picture.pixels is not None:
        return frozenset(label for label, n in picture.pixels.items() if label >= 0 and n)
    if picture.label_file is None:
        return frozenset()
    labels = found.labelled.read(picture)
    if isinstance(labels, ObjectLabels):
        return frozenset(o.label for o in labels.objects)
    return frozenset()


def _chosen(split: Split) -> dict:
    """The entries of the split's pictures."""
    assert split.part is not None
    data = json.loads(split.part.labels.read_text())
    paths = {picture.path.resolve() for picture in split.pictures}
    images = [i for i in data["images"] if (split.part.images / i["file_name"]).resolve() in paths]
    ids = {image["id"] for image in images}
    annotations = [a for a in data["annotations"] if a["image_id"] in ids]
    categories = sorted(data["categories"], key=lambda c: not c.get("isthing", 1))
    return dict(data, images=images, annotations=annotations, categories=categories)
