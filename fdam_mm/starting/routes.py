"""From labels to a task that they serve, and what is converted on the way."""

from collections.abc import Mapping

from fdam_mm.data.own import Inspection, Task
from fdam_mm.errors import UsageError

TASKS: Mapping[str, Task] = {
    "semantic": "semantic", "instance": "instance", "panoptic": "panoptic", "boxes": "detection",
    "oriented": "oriented",
}  # fmt: skip
"""By the name that ``--task`` takes."""

# From the labels' task to another: the format of fdam data convert, None where nothing is to do.
_ROUTES: Mapping[tuple[Task, Task], str | None] = {
    ("instance", "semantic"): "masks",
    ("panoptic", "semantic"): "masks",
    ("instance", "detection"): None,  # COCO's JSON has the boxes beside the masks
    ("oriented", "detection"): "coco",
    ("oriented", "instance"): "coco",
    ("detection", "oriented"): None,  # tiles are written anew
    ("instance", "oriented"): None,
}


def route(found: Inspection, task: Task) -> str | None:
    """What ``fdam data convert --to`` has to write for a task; None where the set serves as it is.

    Raises:
        UsageError: The labels do not serve the task.
    """
    own = found.task
    if own == "unlabelled":
        raise UsageError(f"{found.folder} has no labels to train on; expected some")
    if task != own and (own, task) not in _ROUTES:
        served = [name for name, to in TASKS.items() if to == own or (own, to) in _ROUTES]
        raise UsageError(
            f"{found.folder} has labels for {own}, which do not serve --task {_said(task)}; "
            f"expected one of {', '.join(served)}"
        )
    if task == "oriented":
        return None
    to = _ROUTES.get((own, task))
    if to is None and not found.parts:
        return "masks" if task == "semantic" else "coco"
    return to


def _said(task: Task) -> str:
    return next(name for name, known in TASKS.items() if known == task)
