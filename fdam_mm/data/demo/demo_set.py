"""A demo set: drawn scenes written to disk, in the layout that a toolkit reads.

A further layout is a `DemoLayout` of its own, in its own module, and an entry of `LAYOUTS`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fdam_mm.data.demo.ade20k import ADE20KLayout
from fdam_mm.data.demo.aerial import AerialScene
from fdam_mm.data.demo.coco import COCOLayout
from fdam_mm.data.demo.dota import DOTALayout
from fdam_mm.data.demo.layout import SPLITS, DemoLayout
from fdam_mm.data.demo.scenes import Scene
from fdam_mm.files import new_folder

LAYOUTS: dict[str, DemoLayout] = {
    "ade20k": ADE20KLayout(),
    "coco": COCOLayout(),
    "dota": DOTALayout(),
}
RECORD = "demo_set.json"
_MOST_PICTURES, _MAX_SIDE = 1_000_000, 8192  # of a split; in pixels
_VERSION = 1  # raise it when the same parameters give other pictures


def write_demo_set(
    root: Path,
    num_train: int,
    num_val: int,
    size: int | None = None,
    seed: int = 0,
    layout: str = "ade20k",
) -> None:
    """Write pictures and annotations; a set that is there with the same parameters is kept.

    A picture depends on the seed, its split and its number alone; a smaller set is the start of
    a larger.

    Args:
        root: folder to make; it must be missing, empty or a finished set of these parameters.
        num_train: number of training pictures, at least 1.
        num_val: number of validation pictures, at least 1.
        size: height and width in pixels; None takes the layout's `default_side`.
        seed: 0 or more.
        layout: one of `LAYOUTS`, which describe the files.

    Raises:
        ValueError: a number is out of range, or the layout is unknown.
        FileExistsError: the root holds something else.
    """
    counts = {"training": num_train, "validation": num_val}
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected one of {', '.join(LAYOUTS)}")
    drawn = LAYOUTS[layout]
    size = drawn.default_side if size is None else size
    _require_numbers(num_train, num_val, size, seed, drawn.min_side)
    classes = list(drawn.classes)
    record = dict(version=_VERSION, layout=layout, **counts, size=size, seed=seed, classes=classes)
    root = Path(root).resolve()
    if _is_finished(root, record):
        return
    with new_folder(root) as folder:
        for split in SPLITS:
            scenes = _draw_scenes(drawn, split, counts[split], size, seed)
            drawn.write_split(folder, split, scenes)
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _require_numbers(num_train: int, num_val: int, size: int, seed: int, min_side: int) -> None:
    given = {"num_train": num_train, "num_val": num_val, "size": size, "seed": seed}
    least = {"num_train": 1, "num_val": 1, "size": min_side, "seed": 0}
    most = {"num_train": _MOST_PICTURES, "num_val": _MOST_PICTURES, "size": _MAX_SIDE}
    for name, value in given.items():
        if value < least[name]:
            raise ValueError(f"{name} is {value}, expected at least {least[name]}")
        if value > most.get(name, value):
            raise ValueError(f"{name} is {value}, expected at most {most[name]}")


def _is_finished(root: Path, record: dict) -> bool:
    """Tell whether the root is this very set.

    Returns:
        True for a finished set with the same parameters, False for a missing or empty folder.

    Raises:
        FileExistsError: the root is anything else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    advice = "nothing was changed; choose another folder or remove this one"
    try:
        found = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileExistsError(
            f"{root} exists and is not a demo set (no readable {RECORD}); {advice}"
        ) from error
    given = found if isinstance(found, dict) else {}
    given.setdefault("layout", "ade20k")  # of sets from before there were others
    if given != record:
        differences = ", ".join(
            f"{name} is {given.get(name)}, expected {value}"
            for name, value in record.items()
            if given.get(name) != value
        )
        raise FileExistsError(
            f"{root} is a demo set with other parameters: {differences}; {advice}"
        )
    layout = LAYOUTS[record["layout"]]
    files = [root / file for split in SPLITS for file in layout.files(split, record[split])]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileExistsError(
            f"{root} is a demo set that lacks {len(missing)} files, such as {missing[0]}; {advice}"
        )
    return True


def _draw_scenes(
    layout: DemoLayout, split: str, count: int, size: int, seed: int
) -> Iterator[Scene | AerialScene]:
    for index in tqdm(range(count), desc=split):
        rng = np.random.default_rng([seed, SPLITS.index(split), index])
        yield layout.draw(rng, (size, size))
