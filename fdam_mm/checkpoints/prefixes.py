"""What wrappers of a model put before its names: ``model.``, ``_orig_mod.``, ``net.``, ..."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from torch import Tensor

from fdam_mm.errors import CheckpointError

from .log import log

_DEPTH = 4  # components of the longest prefix that is tried

Renaming = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


def without_prefix(
    state: Mapping[str, Tensor], keys: Collection[str], rename: Renaming
) -> dict[str, Tensor]:
    """Take off the prefix after which the most names are the model's, and say so.

    Args:
        state: Tensors of any layout.
        keys: Names of the model's tensors.
        rename: Gives a state dict our names.

    Returns:
        ``state``, where no prefix helps, or the tensors under the best one.
    """
    shares = {prefix: _shared(under(state, prefix), keys, rename) for prefix in _prefixes(state)}
    best = max(shares, key=lambda prefix: (shares[prefix], -len(prefix)))
    if not best:
        return dict(state)
    found = under(state, best)
    rest = f"; {len(state) - len(found)} tensors elsewhere are not used"
    log(
        f"the prefix {best!r} is taken off the checkpoint's names"
        + (rest if len(found) < len(state) else ""),
    )
    return found


def under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """None, those of half the names or more, and every way to a backbone."""
    counts: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")[:-1][:_DEPTH]
        counts.update(".".join(parts[:length]) + "." for length in range(1, len(parts) + 1))
    common = [
        prefix
        for prefix, count in counts.items()
        if 2 * count >= len(state) or prefix.endswith("backbone.")
    ]
    return ["", *common]


def _shared(state: Mapping[str, Tensor], keys: Collection[str], rename: Renaming) -> int:
    try:
        return len(set(rename(state)) & set(keys))
    except CheckpointError:  # of a layout of which parts are missing
        return -1
