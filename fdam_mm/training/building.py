"""Building the runner of a config."""

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner
from mmengine.runner._flexible_runner import FlexibleRunner

import fdam_mm.openmmlab  # noqa: F401  registers our types
from fdam_mm.errors import ConfigError
from fdam_mm.toolkits.needed_operations import require_operations
from fdam_mm.toolkits.registration import register_toolkit
from fdam_mm.toolkits.scope import scope_of
from fdam_mm.toolkits.types import class_of, is_kind

from .argument_types import refuse_wrong_types
from .config_errors import config_errors
from .formatter import import_formatter
from .runner import FDAMRunner


def build_runner(config: Config) -> Runner:
    """Import the config's toolkit, so that its types are registered, and build the runner.

    That is an :class:`FDAMRunner`, unless the config names another in ``runner_type``. mmengine's
    ``FlexibleRunner``, which FSDP and DeepSpeed need, becomes an :class:`FDAMFlexibleRunner`.

    Raises:
        ConfigError: ``default_scope`` is not mmseg, mmdet or mmrotate, or a part that the config
            names cannot be built.
        OperationError: It needs an operation that mmcv was not compiled with.
    """
    import_formatter()
    scope = scope_of(config)
    init_default_scope(scope)
    register_toolkit(scope)
    refuse_wrong_types(config.get("model"), scope)
    require_operations(config, get_device())
    config.setdefault("runner_type", "FDAMRunner")
    if class_of(config.runner_type, RUNNERS) is FlexibleRunner:
        config.runner_type = "FDAMFlexibleRunner"
    if config.get("fine_tuning") is not None and not is_kind(
        config.runner_type, FDAMRunner, RUNNERS
    ):
        raise ConfigError(f"fine_tuning needs FDAMRunner; runner_type is {config.runner_type!r}")
    with config_errors(f"config {config.filename} cannot be built", config):
        return RUNNERS.build(config)
