"""See that an optimizer exists; mmengine says of one that does not: "None is not callable"."""

import difflib
from typing import Any

from mmengine.registry import OPTIMIZERS

from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.types import class_of


def require_optimizer(wrapper: Any, key: str = "optim_wrapper") -> None:
    """See that the ``optimizer`` of an ``optim_wrapper``, or of several in a dict, is known.

    Raises:
        ConfigError: It is not; names the key and the nearest ones.
    """
    if not isinstance(wrapper, dict):
        return
    for name, value in wrapper.items():
        if name != "optimizer":
            require_optimizer(value, f"{key}.{name}")
        elif not isinstance(value, dict) or "type" not in value:
            raise ConfigError(
                f"{key}.optimizer is {value!r}, expected a dict such as "
                'dict(type="AdamW", lr=1e-4)'
            )
        elif class_of(value["type"], OPTIMIZERS) is None:
            near = difflib.get_close_matches(str(value["type"]), OPTIMIZERS.module_dict, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ConfigError(f"{key}.optimizer.type is {value['type']!r}, which is unknown{hint}")
