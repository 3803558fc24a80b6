"""Settings that hold other settings: a number or a text where a dict or a list belongs.

Left alone they end inside a toolkit, under another key than theirs or only in the first forward.
"""

import re
from typing import Any

from mmengine.config import Config

from fdam_mm.errors import ConfigError

from .walk import walk

_DATA = r"(train|val|test)_dataloader(\.\d+)?"
_DICTS = (
    *("model", "optim_wrapper", "train_cfg", "val_cfg", "test_cfg", _DATA, "default_hooks"),
    *(r"default_hooks\.\w+", r"(val|test)_evaluator", "visualizer", "log_processor", "env_cfg"),
    *("randomness", "tta_model", r"optim_wrapper\.(optimizer|paramwise_cfg|clip_grad)"),
    rf"{_DATA}\.(sampler|batch_sampler|collate_fn|(.+\.)?dataset(\.(metainfo|data_prefix))?)",
    r"model\.(.+\.)?(\w+_head|backbone|neck|data_preprocessor|train_cfg|test_cfg|init_cfg)",
)
_NEEDED = r"model\.(.+\.)?(backbone|decode_head)"  # never None
_LISTS = ("custom_hooks", "param_scheduler", rf"{_DATA}\.(.+\.)?pipeline", "tta_pipeline")
_SINGLE = "param_scheduler"  # a list that may be its only item
_MANY = r"(val|test)_(dataloader|evaluator)|model\..*|.*optimizer"  # dicts that may be a list


def refuse_wrong_structure(config: Config) -> None:
    """See that what the parts of a run are made of are dicts, or lists of them.

    Objects that are built already pass, as does None, except for a backbone or decode head.

    Raises:
        ConfigError: A part is something else; names the key, the value and what was expected.
    """
    for top in config:
        for key, value in walk(config[top], top):
            if _matches(_DICTS, key) and not _is_part(key, value):
                raise ConfigError(f"{key} is {value!r}, expected a dict of its settings")
            if _matches(_LISTS, key) and not _is_list(key, value):
                raise ConfigError(f"{key} is {value!r}, expected a list of dicts")


def _matches(patterns: tuple[str, ...], key: str) -> bool:
    return any(re.fullmatch(pattern, key) for pattern in patterns)


def _is_part(key: str, value: Any) -> bool:
    if isinstance(value, list | tuple) and re.fullmatch(_MANY, key):
        return all(_is_part(key, item) for item in value)
    if value is None:
        return not re.fullmatch(_NEEDED, key)
    return not _is_plain(value)


def _is_list(key: str, value: Any) -> bool:
    if isinstance(value, list | tuple):
        return not any(item is None or _is_plain(item) for item in value)
    return value is None or (not _is_plain(value) and re.fullmatch(_SINGLE, key) is not None)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | list | tuple)
