"""Split the whole of DOTA, in the layout that mmrotate's configs expect.

    DST/split_ss_dota/{train,val,trainval,test}/{images,annfiles}/

`split.json` holds the settings. `pictures.jsonl` in a split's folder names the pictures whose
patches are all in place: the others are split again by the next run.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from fdam_mm.data.formats.dota import SPLITS, Picture, find_pictures
from fdam_mm.errors import LayoutError, PreparationError
from fdam_mm.files import lock, write_atomically

from .dota_patches import MIN_SHARE
from .dota_split import KINDS, PADDING, Job, Outcome, Scales, split_picture, stamp
from .workers import WorkerError, map_in_order

RECORD = "split.json"
DONE = "pictures.jsonl"
_VERSION = 2  # raise it when the same settings give other patches
_PARTIAL = ".partial"
_JOINED = "trainval"


@dataclass
class SplitReport:
    """Result of splitting.

    Attributes:
        done: the pictures of each split that have patches.
        skipped: one line for each file that was left out.
    """

    done: dict[str, list[Outcome]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def prepare_dota(src: Path, dst: Path, scales: Scales, workers: int = 1) -> SplitReport:
    """Split the sets of a folder, going on where an earlier run stopped.

    The patches do not depend on the number of workers. What cannot be read is skipped and
    reported, and tried again by the next run. `trainval` has the patches of `train` and `val`, as
    hard links where the disk has them.

    Args:
        src: folder with `train`, `val` and `test`, or some of them, as in `dota.py`.
        dst: folder to hold `split_ss_dota` or `split_ms_dota`; made when missing.
        scales: one of `SCALES`.
        workers: number of processes; with 1 the work is done in this one.

    Raises:
        PreparationError: the source is not laid out like DOTA, the target holds something else,
            another run is at work there, or a worker was killed.
        OSError: the disk refuses.
    """
    report = SplitReport()
    found = _find(src, report)
    root = dst / scales.folder
    _require_record(root, scales)
    with _only_run(root):
        shutil.rmtree(root / _PARTIAL, ignore_errors=True)
        try:
            for split, pictures in found.items():
                report.done[split] = _split_set(root, split, pictures, scales, workers, report)
        except WorkerError as error:
            raise PreparationError(
                f"{error}; the same command goes on from there, with fewer --workers if it "
                "happens again"
            ) from error
        shutil.rmtree(root / _PARTIAL, ignore_errors=True)
    return report


def _find(src: Path, report: SplitReport) -> dict[str, list[Picture]]:
    """Return the pictures of each split that the source has."""
    found: dict[str, list[Picture]] = {}
    for split in SPLITS:
        if not (src / split).is_dir():
            continue
        try:
            found[split], problems = find_pictures(src / split)
        except LayoutError as error:
            raise PreparationError(str(error)) from error
        report.skipped += problems
    if not found:
        raise PreparationError(f"{src} has none of the folders {', '.join(SPLITS)}")
    train, val = ({picture.name for picture in found.get(split, [])} for split in SPLITS[:2])
    if train & val:
        raise PreparationError(
            f"{src}: train and val both have a picture {min(train & val)}, expected other names, "
            f"for {_JOINED} has the patches of both"
        )
    return found


def _require_record(root: Path, scales: Scales) -> None:
    """Write the settings into a new folder, or compare them with those of an earlier run."""
    wanted = dict(version=_VERSION, **asdict(scales), min_share=MIN_SHARE, padding=PADDING)
    wanted = json.loads(json.dumps(wanted))  # tuples become lists
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        root.mkdir(parents=True, exist_ok=True)
        _write(root / RECORD, [json.dumps(wanted, indent=2)])
        return
    try:
        found = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PreparationError(
            f"{root} exists and was not made by this tool (no readable {RECORD}); nothing was "
            "changed, choose another folder or move it away"
        ) from error
    if found != wanted:
        raise PreparationError(
            f"{root} was made with other settings: {found}, expected {wanted}; nothing was "
            "changed, choose another folder or move it away"
        )


@contextmanager
def _only_run(root: Path) -> Iterator[None]:
    """Keep other runs out of the folder until this one ends, however it ends."""
    with (root / RECORD).open("r+") as file:
        if lock(file.fileno()) is False:
            raise PreparationError(f"another run is at work in {root}; wait for it")
        yield


def _split_set(
    root: Path,
    split: str,
    pictures: list[Picture],
    scales: Scales,
    workers: int,
    report: SplitReport,
) -> list[Outcome]:
    """Split the pictures of one set that are not done, and return all that are done now."""
    names = (split,) if split == "test" else (split, _JOINED)
    folders = tuple(root / name for name in names)
    for folder in folders:
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)
    done = _still_done(folders, pictures)
    jobs = [
        Job(picture, root / _PARTIAL / split / picture.name, folders, scales)
        for picture in pictures
        if picture.name not in done
    ]
    progress = tqdm(desc=split, unit="picture", total=len(pictures), initial=len(done))
    with progress, (root / split / DONE).open("a", encoding="utf-8") as log:
        for outcome in map_in_order(split_picture, jobs, workers):
            if outcome.error:
                report.skipped.append(outcome.error)
            else:
                done[outcome.name] = outcome
                log.write(_line(outcome) + "\n")
                log.flush()
            progress.update()
    finished = [done[name] for name in sorted(done)]
    _write(root / split / DONE, map(_line, finished))
    return finished


def _still_done(folders: tuple[Path, ...], pictures: list[Picture]) -> dict[str, Outcome]:
    """Return what earlier runs finished; remove the patches of pictures that have changed since.

    Raises:
        PreparationError: there are patches of a picture that is not in the source.
    """
    stamps = {picture.name: stamp(picture) for picture in pictures}
    done: dict[str, Outcome] = {}
    for outcome in _read_done(folders[0] / DONE):
        if outcome.name not in stamps:
            raise PreparationError(
                f"{folders[0]} has patches of {outcome.name}, which the source has not or not "
                "with its labels; choose another folder or move this one away"
            )
        files = [
            folder / kind / f"{patch}{suffix}"
            for folder in folders
            for kind, suffix in KINDS.items()
            for patch in outcome.patches
        ]
        if outcome.stamp == stamps[outcome.name] and all(file.is_file() for file in files):
            done[outcome.name] = outcome
        else:
            for file in files:
                file.unlink(missing_ok=True)
    _write(folders[0] / DONE, map(_line, done.values()))
    return done


def _read_done(file: Path) -> Iterator[Outcome]:
    """Yield the pictures of a list, whose last line may be half written."""
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield Outcome(**json.loads(line))
        except (ValueError, TypeError):
            return


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome))


def _write(file: Path, lines: Iterable[str]) -> None:
    """Replace a text file at once."""
    write_atomically(file, "".join(f"{line}\n" for line in lines))
