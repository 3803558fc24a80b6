"""A demo set: scenes written to disk in ADE20K's layout (`CLASSES` in `scenes.py`)."""

import json
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from fdam_mm.data.ade20k import SPLITS
from fdam_mm.data.archives import new_folder
from fdam_mm.data.scenes import CLASSES, MIN_SIDE, draw_scene

RECORD = "demo_set.json"
_VERSION = 1  # raise it when the same parameters give other pictures
_SHORT_NAMES = {"training": "train", "validation": "val"}
_JPEG_OPTIONS = [
    cv2.IMWRITE_JPEG_QUALITY,
    97,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,  # keeps the colour of one-pixel details
]


def write_demo_set(
    root: Path, num_train: int, num_val: int, size: int = 128, seed: int = 0
) -> None:
    """Write pictures and annotations; a set that is there with the same parameters is kept.

    The files are `images/{training,validation}/DEMO_{train,val}_00000001.jpg` and
    `annotations/.../NAME.png` (uint8; 0 is unlabelled, the others are class index + 1). A picture
    depends on the seed, its split and its number alone, so a smaller set is the start of a larger.

    Args:
        root: folder to make; it must be missing, empty or a finished set of these parameters.
        num_train: number of training pictures, at least 1.
        num_val: number of validation pictures, at least 1.
        size: height and width in pixels.
        seed: 0 or more.

    Raises:
        ValueError: a number is out of range.
        FileExistsError: the root holds something else.
    """
    counts = {"training": num_train, "validation": num_val}
    _require_numbers(num_train, num_val, size, seed)
    record = dict(version=_VERSION, **counts, size=size, seed=seed, classes=list(CLASSES))
    root = Path(root).resolve()
    if _is_finished(root, record):
        return
    with new_folder(root) as folder:
        for split in SPLITS:
            _write_split(folder, split, counts[split], size, seed)
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _require_numbers(num_train: int, num_val: int, size: int, seed: int) -> None:
    given = {"num_train": num_train, "num_val": num_val, "size": size, "seed": seed}
    least = {"num_train": 1, "num_val": 1, "size": MIN_SIDE, "seed": 0}
    for name, value in given.items():
        if value < least[name]:
            raise ValueError(f"{name} is {value}, expected at least {least[name]}")


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
    if found != record:
        given = found if isinstance(found, dict) else {}
        differences = ", ".join(
            f"{name} is {given.get(name)}, expected {value}"
            for name, value in record.items()
            if given.get(name) != value
        )
        raise FileExistsError(
            f"{root} is a demo set with other parameters: {differences}; {advice}"
        )
    missing = [file for split in SPLITS for file in _files(root, split, record[split])]
    missing = [file for file in missing if not file.is_file()]
    if missing:
        raise FileExistsError(
            f"{root} is a demo set that lacks {len(missing)} files, such as {missing[0]}; {advice}"
        )
    return True


def _files(root: Path, split: str, count: int) -> list[Path]:
    """Return the paths of a split: image, annotation, image, annotation, ..."""
    files: list[Path] = []
    for number in range(1, count + 1):
        name = f"DEMO_{_SHORT_NAMES[split]}_{number:08d}"
        files.append(root / "images" / split / f"{name}.jpg")
        files.append(root / "annotations" / split / f"{name}.png")
    return files


def _write_split(root: Path, split: str, count: int, size: int, seed: int) -> None:
    for kind in ("images", "annotations"):
        (root / kind / split).mkdir(parents=True)
    files = _files(root, split, count)
    pairs = zip(files[::2], files[1::2], strict=True)
    for index, (image, annotation) in enumerate(tqdm(pairs, desc=split, total=count)):
        rng = np.random.default_rng([seed, SPLITS.index(split), index])
        scene = draw_scene(rng, (size, size))
        _write_picture(image, scene.image[..., ::-1], _JPEG_OPTIONS)  # cv2 wants BGR
        _write_picture(annotation, scene.semantic(), [])


def _write_picture(file: Path, pixels: np.ndarray, options: list[int]) -> None:
    """Encode by the file's suffix and write; unlike cv2.imwrite, raise when the disk refuses."""
    done, data = cv2.imencode(file.suffix, pixels, options)
    if not done:
        raise OSError(f"cannot encode {file} from an array of shape {pixels.shape}")
    file.write_bytes(data.tobytes())
