"""Values of settings that nothing else checks: accepted, and then wrong or silent."""

import difflib
import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from fdam_mm.errors import ConfigError

from .walk import walk

_IOU_METRICS = ("mIoU", "mDice", "mFscore")
_TOPS = (
    *("model", "optim_wrapper", "default_hooks", "train_cfg", "resume", "log_level", "randomness"),
    *("train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator", "test_evaluator"),
)


_PASSED_ON = {  # refused only when they are used, by the functions that take them
    "optim_wrapper.clip_grad": (clip_grad_norm_, clip_grad_value_),
}


class _Rule(NamedTuple):
    keys: str
    """Regular expression of whole keys."""
    expected: str
    is_right: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _size(value: Any) -> bool:
    """Height and width; None is the model's default."""
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    return value is None or (is_pair and all(_whole(side, 1) for side in value))


def _names(value: Any) -> bool:
    """Classes; a text is the name of a file of them."""
    if isinstance(value, str):
        return Path(value).is_file()
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _iou_metrics(value: Any) -> bool:
    return isinstance(value, list | tuple) and {*value} <= {*_IOU_METRICS}


_RULES = (
    _Rule(
        r"model\.(.*\.)?(\w*drop\w*_rate|dropout_ratio|drop_prob|dropout)",
        "a number from 0 to below 1",
        lambda value: not _number(value) or 0 <= value < 1,  # others are the model's
    ),
    _Rule(r"train_cfg\.(max_iters|max_epochs)", "a whole number from 1", lambda v: _whole(v, 1)),
    _Rule(
        r"train_cfg\.val_interval",
        "a whole number from 1; no validation at all is val_dataloader=None val_cfg=None "
        "val_evaluator=None",
        lambda v: _whole(v, 1),
    ),
    _Rule(
        r"default_hooks\.checkpoint\.interval",
        "a whole number from 1, or -1 to save none on the way",
        lambda value: value == -1 or _whole(value, 1),
    ),
    _Rule(r"default_hooks\.logger\.interval", "a whole number from 1", lambda v: _whole(v, 1)),
    _Rule(
        r"(train|val|test)_dataloader\.batch_size", "a whole number from 1", lambda v: _whole(v, 1)
    ),
    _Rule(
        r"(train|val|test)_dataloader\.num_workers",
        "a whole number from 0",
        lambda v: _whole(v, 0),
    ),
    _Rule(r"(val|test)_evaluator(\.\d+)?\.iou_metrics", f"some of {_IOU_METRICS}", _iou_metrics),
    _Rule(r"model\.test_cfg\.mode", "'whole' or 'slide'", lambda v: v in ("whole", "slide")),
    _Rule(
        r"model\.(data_preprocessor\.size|test_cfg\.(crop_size|stride))",
        "(height, width) in pixels, each a whole number from 1",
        _size,
    ),
    _Rule(r"resume", "True, False or 'auto'", lambda v: v in (None, True, False, "auto")),
    _Rule(
        r"log_level",
        "DEBUG, INFO, WARNING, ERROR or CRITICAL",
        lambda value: str(value) in logging.getLevelNamesMapping() or isinstance(value, int),
    ),
    _Rule(
        r"randomness\.seed", "a whole number from 0, or None", lambda v: v is None or _whole(v, 0)
    ),
    _Rule(
        r"optim_wrapper\.optimizer\.(lr|weight_decay)",
        "a number from 0",
        lambda v: _number(v) and v >= 0,
    ),
    _Rule(
        r"(train|val|test)_dataloader\.(.*\.)?metainfo\.(\w+_)?classes",
        'a list or tuple of names, or a file of them; one name alone is ("NAME",) with a comma',
        _names,
    ),
)


def refuse_wrong_values(config: Config) -> None:
    """See that the settings of a run are in their range and that those passed on are known.

    Raises:
        ConfigError: One is not; names the key, the value and what was expected.
    """
    for top in filter(config.__contains__, _TOPS):
        for key, value in walk(config[top], top):
            for rule in _RULES:
                if re.fullmatch(rule.keys, key) and not rule.is_right(value):
                    raise ConfigError(f"{key} is {value!r}, expected {rule.expected}")
            if key in _PASSED_ON and isinstance(value, dict):
                refuse_unknown(key, value, _PASSED_ON[key])


def refuse_unknown(key: str, settings: Mapping[str, Any], takers: Sequence[Any]) -> None:
    """See that each of the ``settings`` at ``key`` is an argument of one of the ``takers``.

    Raises:
        ConfigError: One is not; names it and the nearest argument, else all of them.
    """
    names = {name for taker in takers for name in inspect.signature(taker).parameters}
    known = names | {"type", "_scope_", "_delete_"}
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise ConfigError(f"{key}.{name} is read by nothing; {hint}")
