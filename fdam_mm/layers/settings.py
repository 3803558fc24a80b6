"""Reading the settings of a layer as users write them: True, False, None or a dict."""

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any


def layer_settings(
    name: str,
    value: Any,
    layer: type,
    choices: Mapping[str, Collection[Any]] | None = None,
) -> dict[str, Any] | None:
    """The keyword arguments of ``layer``, or None where it is switched off.

    Args:
        name: Where ``value`` stands, for messages.
        value: True for the released settings, False or None for off, or a dict of arguments.
        layer: :class:`AttInv` or :class:`FreqScale`; ``dim`` and ``num_heads`` are the model's.
        choices: What the dict may hold beyond the layer's arguments: settings with their possible
            values.

    Raises:
        TypeError: ``value`` is something else.
        ValueError: An argument or a choice does not exist.
    """
    if value is None or value is False:
        return None
    if value is True:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be True, False or a dict of settings, got {value!r}")
    choices = choices or {}
    arguments = [a for a in inspect.signature(layer).parameters if a not in ("dim", "num_heads")]
    refuse_unknown(name, value, [*arguments, *choices])
    for key in value.keys() & choices.keys():
        if value[key] not in choices[key]:
            raise ValueError(f"{name}.{key} is {value[key]!r}; choose one of {list(choices[key])}")
    return dict(value)


def refuse_unknown(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for names in ``given`` that are not in ``known``."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{where} has no setting {unknown}; it has {sorted(known)}")
