"""Reading the ``fdam`` key of a backbone's config."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from fdam_mm.layers import AttInv, FreqScale


def parse_fdam(
    fdam: Mapping[str, Any] | None, att_inv_choices: Mapping[str, Collection[Any]] | None = None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read ``fdam`` into the keyword arguments of the two layers.

    Args:
        fdam: None for the plain model, or a dict with ``att_inv`` and ``freq_scale``. Each is True
            (the released settings), False, None or a dict of arguments of :class:`AttInv` or
            :class:`FreqScale`; a missing key is False.
        att_inv_choices: What ``att_inv`` may hold beyond AttInv's arguments, for the backbone's
            own attention: settings with their possible values.

    Returns:
        The arguments of AttInv, both paths switched off where it is off, and those of FreqScale,
        None where it is off.

    Raises:
        TypeError: ``fdam`` or one of its values has another type.
        ValueError: A key or a choice does not exist.
    """
    if fdam is None:
        fdam = {}
    if not isinstance(fdam, Mapping):
        raise TypeError(
            "fdam must be None or a dict such as dict(att_inv=True, freq_scale=True), "
            f"got {fdam!r}"
        )
    _refuse_unknown("fdam", fdam, ("att_inv", "freq_scale"))
    att_inv = _settings("att_inv", fdam.get("att_inv"), AttInv, att_inv_choices or {})
    freq_scale = _settings("freq_scale", fdam.get("freq_scale"), FreqScale, {})
    return dict(low=False, high=False) if att_inv is None else att_inv, freq_scale


def _settings(
    name: str, value: Any, layer: type, choices: Mapping[str, Collection[Any]]
) -> dict[str, Any] | None:
    if value is None or value is False:
        return None
    if value is True:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"fdam.{name} must be True, False or a dict of settings, got {value!r}")
    arguments = [a for a in inspect.signature(layer).parameters if a not in ("dim", "num_heads")]
    _refuse_unknown(f"fdam.{name}", value, [*arguments, *choices])
    for key in value.keys() & choices.keys():
        if value[key] not in choices[key]:
            raise ValueError(
                f"fdam.{name}.{key} is {value[key]!r}; choose one of {list(choices[key])}"
            )
    return dict(value)


def _refuse_unknown(where: str, given: Mapping[str, Any], known: list[str] | tuple) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{where} has no setting {unknown}; it has {sorted(known)}")
