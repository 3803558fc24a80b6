"""COCO panoptic: a JSON with segments_info, and a PNG of segment numbers for each picture."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from fdam_mm.data.check.problems import Problem, shorten, show
from fdam_mm.data.formats.segment_ids import segment_ids
from fdam_mm.data.own.folder import Folder
from fdam_mm.data.own.labelled import (
    LabelledPicture,
    LabelledSet,
    PanopticLabels,
    PanopticSegment,
    Part,
)
from fdam_mm.data.pictures.rows import read_pixels
from fdam_mm.errors import LabelError

from .coco import (
    coco_jsons,
    merged_classes,
    of_whole_set,
    pictures_of,
    read_tables,
    split_of_json,
    without_copies,
)

NAME = "coco-panoptic"
LOOKED_FOR = 'a JSON with "segments_info", and its PNGs'

_MOST = 1 << 24  # numbers that three bytes hold


def detects(folder: Folder) -> bool:
    return bool(coco_jsons(folder, panoptic=True))


def open_set(folder: Folder) -> LabelledSet:
    """Raises LabelError where a JSON is broken, LayoutError where several are of one picture."""
    tables = {file: read_tables(folder.path(file)) for file in coco_jsons(folder, panoptic=True)}
    tables = without_copies(tables)
    problems: list[Problem] = []
    classes, labels = merged_classes(folder, tables, problems)
    entries: dict[LabelledPicture, tuple[dict | None, dict]] = {}
    parts: list[Part] = []
    for file, data in tables.items():
        bases: dict[PurePosixPath, PurePosixPath] = {}
        annotations = {
            str(entry.get("image_id")): entry
            for entry in data["annotations"]
            if isinstance(entry, dict)
        }
        of_class = {key: label for (json, key), label in labels.items() if json == file}
        split = split_of_json(file)
        pngs, missing = set(), []
        for picture, image in pictures_of(folder, file, data, split, problems, bases):
            entry = annotations.get(str(image["id"]))
            png = None if entry is None else _png(folder, file, str(entry.get("file_name")))
            if entry is not None and png is None:
                missing.append(str(entry.get("file_name")))
            labelled = LabelledPicture(
                picture.name,
                picture.image,
                picture.split,
                None if png is None else folder.path(png),
                attributes=picture.attributes,
            )
            entries[labelled] = entry if png else None, of_class
            if png:
                pngs.add(png.parent)
        if missing:
            text = f"{len(missing)} PNGs of segments that are not there: {shorten(missing)}"
            problems.append(Problem(folder.path(file), text, f"them in a folder {file.stem}"))
        if file in bases and len(pngs) == 1:
            images, segments = folder.path(bases[file]), folder.path(pngs.pop())
            parts.append(Part(split, images, folder.path(file), segments=segments))

    def read(picture: LabelledPicture) -> PanopticLabels:
        entry, of_class = entries[picture]
        if entry is None or picture.label_file is None:
            raise LabelError(f"{picture.image}: no segments, expected an annotation and its PNG")
        return _read(picture, entry, of_class)

    splits = [part.split for part in parts]
    return LabelledSet(
        folder.root, NAME, f"{len(tables)} JSON{'s' * (len(tables) > 1)}", "panoptic", classes,
        tuple(sorted(entries, key=lambda p: (p.split or "", p.name))), read, tuple(problems),
        tuple(parts) if len(parts) == len(tables) == len(set(splits)) else (),
        attributes=of_whole_set(tables.values()),
    )  # fmt: skip


def _png(folder: Folder, file: PurePosixPath, name: str) -> PurePosixPath | None:
    """The PNG of a picture: in a folder called as the JSON or "panoptic", or beside the JSON."""
    stems = (file.stem, file.stem.replace("instances", "panoptic"), "panoptic")
    for start in [*(file.parent / stem for stem in stems), file.parent]:
        place = folder.inside(name, start)
        if place is not None and folder.has(place) and place.suffix.lower() == ".png":
            return place
    return None


def _read(picture: LabelledPicture, entry: dict, labels: dict) -> PanopticLabels:
    """The segments of a picture. Raises LabelError where PNG and JSON disagree."""
    assert picture.label_file is not None
    ids = segment_ids(read_pixels(picture.label_file)[..., ::-1])
    segments = []
    infos = entry.get("segments_info")
    if not isinstance(infos, list):
        raise LabelError(f"{picture.image}: segments_info {show(infos)}, expected a list")
    for info in infos:
        number = info.get("id") if isinstance(info, dict) else None
        category = info.get("category_id") if isinstance(info, dict) else None
        if not isinstance(number, int) or not 0 < number < _MOST:
            raise LabelError(f"{picture.image}: segment {show(info)}, expected an id above 0")
        if not isinstance(category, int | str) or category not in labels:
            raise LabelError(
                f"{picture.image}: segment {number} has the category {show(category)}, expected "
                "one of the JSON"
            )
        segments.append(PanopticSegment(number, labels[category], bool(info.get("iscrowd"))))
    counts = Counter(segment.id for segment in segments)
    unknown = sorted(set(np.unique(ids).tolist()) - counts.keys() - {0})
    twice = [number for number, count in counts.items() if count > 1]
    if unknown or twice:
        found = f"numbers {shorten(unknown or twice)} {'twice in' if twice else 'without'}"
        raise LabelError(
            f"{picture.label_file}: {found} segments_info, expected each segment there once"
        )
    return PanopticLabels(ids, tuple(segments))
