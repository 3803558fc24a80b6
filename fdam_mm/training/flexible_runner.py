"""mmengine's FlexibleRunner, which FSDP and DeepSpeed need, with safe checkpoints."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner._flexible_runner import FlexibleRunner

from .checkpoint_hook import newest_of, safe_checkpoints


@RUNNERS.register_module()
class FDAMFlexibleRunner(FlexibleRunner):
    """What ``runner_type="FlexibleRunner"`` means in a config of ours.

    - :class:`SafeCheckpointHook` saves, rotates and removes, folders of sharded checkpoints too.
    - A training resumes from the newest checkpoint of its folder that can be read.
    - The text of a config that a checkpoint holds is never executed.

    All else is mmengine's: the rest of what :class:`FDAMRunner` does is not served.
    """

    def register_hook(self, hook: Hook | dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().register_hook(safe_checkpoints(hook), *args, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        if fn_name == "after_load_checkpoint" and isinstance(
            meta := kwargs["checkpoint"].get("meta"), dict
        ):
            meta.pop("config", None)
        super().call_hook(fn_name, **kwargs)

    def load_or_resume(self) -> None:
        search = self._resume == "auto" or (self._resume is True and self._load_from is None)
        if search and not self._has_loaded:
            self._resume = newest_of(self, folders=True) or False
        super().load_or_resume()
