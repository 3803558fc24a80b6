"""Values of settings that nothing else checks: accepted, and then wrong or silent."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from fdam_mm.errors import ConfigError

from .walk import walk


class _Rule(NamedTuple):
    keys: str
    """Regular expression of whole keys."""
    expected: str
    is_right: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _names(value: Any) -> bool:
    """Classes; a text is the name of a file of them."""
    if isinstance(value, str):
        return Path(value).is_file()
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


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
    _Rule(r"optim_wrapper\.optimizer\.lr", "a number from 0", lambda v: _number(v) and v >= 0),
    _Rule(
        r"(train|val|test)_dataloader\.(.*\.)?metainfo\.(\w+_)?classes",
        'a list or tuple of names, or a file of them; one name alone is ("NAME",) with a comma',
        _names,
    ),
)


def refuse_wrong_values(config: Config) -> None:
    """See that the settings of a run are in their range.

    Raises:
        ConfigError: One is not; names the key, the value and what was expected.
    """
    for top in ("model", "optim_wrapper", "default_hooks", "train_cfg", *_loaders()):
        for key, value in walk(config.get(top), top):
            for rule in _RULES:
                if re.fullmatch(rule.keys, key) and not rule.is_right(value):
                    raise ConfigError(f"{key} is {value!r}, expected {rule.expected}")


def _loaders() -> list[str]:
    return [f"{split}_dataloader" for split in ("train", "val", "test")]
