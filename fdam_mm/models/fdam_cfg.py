"""Reading the ``fdam`` key of a backbone's config."""

from collections.abc import Collection, Mapping
from typing import Any

from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.layers.settings import layer_settings, refuse_unknown


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
    refuse_unknown("fdam", fdam, ("att_inv", "freq_scale"))
    att_inv = layer_settings("fdam.att_inv", fdam.get("att_inv"), AttInv, att_inv_choices)
    freq_scale = layer_settings("fdam.freq_scale", fdam.get("freq_scale"), FreqScale)
    return dict(low=False, high=False) if att_inv is None else att_inv, freq_scale
