"""Any model of a registry with FDAM, by one line of a config."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn

from fdam_mm.errors import ConfigError
from fdam_mm.inject import apply_fdam

_KEYS = ("att_inv", "freq_scale", "strict", "include", "exclude")


@MODELS.register_module()
def WithFDAM(of: str, fdam: Mapping[str, Any] | None = None, **settings: Any) -> nn.Module:  # noqa: N802
    """Build what ``of`` names and put FDAM into it: for any ``type`` of a config.

    The model is that of ``of`` itself, so checkpoints of the plain model load with their keys, and
    so do the toolkits' converters and ``init_cfg``.

    Args:
        of: The ``type`` that stood here before; ``"mmdet.SwinTransformer"`` for another toolkit's.
        fdam: ``dict(att_inv=True, freq_scale=True)``, as :func:`fdam_mm.apply_fdam` takes them,
            with ``include``, ``exclude`` and ``strict`` where needed; a missing layer is left out.
            None is the plain model.
        **settings: Those of ``of``.

    Raises:
        ConfigError: ``fdam`` is no dict of these.
        UnservedError: FDAM cannot serve the model, or a part of it.
    """
    if fdam is None:
        return MODELS.build(dict(type=of, **settings))
    if not isinstance(fdam, Mapping) or not set(fdam) <= set(_KEYS):
        raise ConfigError(
            f"fdam of WithFDAM is {fdam!r}, expected a dict of {', '.join(_KEYS)}, such as "
            "dict(att_inv=True, freq_scale=True)"
        )
    model = MODELS.build(dict(type=of, **settings))
    report = apply_fdam(model, **{"att_inv": False, "freq_scale": False, **fdam})
    print_log(f"WithFDAM of {of}: {report}", logger="current")
    return model
