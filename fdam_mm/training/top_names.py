"""The names at the top of a config: which of them act, and where the others' values went.

A config is Python: ``crop_size = (512, 512)`` at its top is a variable, copied into pipelines and
models while the file is read. To set it afterwards changes nothing.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from fdam_mm.errors import ConfigError, UsageError

from .walk import walk

# Beside the runner's arguments, what runners and tools read from a config that need not have it.
_OPTIONAL = (
    "activation_checkpointing",
    "allow_pickle",
    "compile",
    "demo_set",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "fine_tuning",
    "init_weights_for_test_or_val",
    "model_wrapper_cfg",
    "runner_type",
    "sharding",
    "strategy",
    "sync_bn",
    "tta_model",
    "tta_pipeline",
)
_ACTING = {*inspect.signature(Runner).parameters, *_OPTIONAL} - {"cfg", "launcher"}
_MOST_NAMED = 4  # keys in a message


def refuse_names_that_do_nothing(options: Mapping[str, Any], config: Config) -> None:
    """See that what ``--cfg-options`` sets is read by something.

    Args:
        options: Keys and values.
        config: As it was before them.

    Raises:
        UsageError: Nothing reads a key's first name; the message names the keys that act.
    """
    for key in options:
        name, _, rest = key.partition(".")
        if name in _ACTING or (key == "data_root" and key in config):
            continue
        if name == "launcher":
            raise UsageError(f"--cfg-options {key}: tools/dist_train.sh and dist_test.sh set it")
        has = "sets a variable of the file" if name in config else "is no setting of the config"
        raise UsageError(
            f"--cfg-options {key}: {name} {has} and does nothing; {_advice(name, rest, config)}"
        )


def refuse_misspelt(config: Config) -> None:
    """See that no variable of a config is meant to be a setting; others may have any name.

    Raises:
        ConfigError: One is a letter or two beside a setting's name.
    """
    for name in config:
        if name in _ACTING or name == "launcher":
            continue
        meant = [known for known in sorted(_ACTING) if _is_misspelt(name, known)]
        if meant:
            raise ConfigError(
                f"config {config.filename}: {name} is read by nothing; did you mean {meant[0]}? "
                "(Else give the variable another name.)"
            )


def _advice(name: str, rest: str, config: Config) -> str:
    places = list(dict.fromkeys(_places(name, config)))
    if places:
        keys = [f"{place}.{rest}" if rest else place for place in places]
        more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
        return f"set {', '.join(keys[:_MOST_NAMED])}{more}"
    near = difflib.get_close_matches(name, {*_ACTING, *config} - {name}, n=1)
    return f"did you mean {near[0]}?" if near else "set the keys that use it"


def _places(name: str, config: Config) -> Iterator[str]:
    """Keys that a variable went to: of its name and value first, of its name, of its value."""
    value, acting = config.get(name), [name for name in config if name in _ACTING]
    found = [pair for top in acting for pair in walk(config[top], top)]
    named = [(key, there) for key, there in found if key.rpartition(".")[2] == name]
    yield from (key for key, there in named if there == value)
    yield from (key for key, _ in named)
    if value is not None and not isinstance(value, bool) and value not in (0, 1):
        yield from (key for key, there in found if _is_same(there, value))


def _is_same(there: Any, value: Any) -> bool:
    return type(there) is type(value) and there == value


def _is_misspelt(name: str, known: str) -> bool:
    """Two letters exchanged, or one wrong in 8 and two in 12."""
    exchanged = (
        known[:i] + known[i + 1] + known[i] + known[i + 2 :] for i in range(len(known) - 1)
    )
    return name in exchanged or _distance(name, known) <= min(len(known) // 6, 2) * (
        len(known) >= 8
    )


def _distance(a: str, b: str) -> int:
    """Letters to insert, remove or replace."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(row[-1] + 1, before[j] + 1, before[j - 1] + (x != y)))
    return row[-1]
