"""What every backbone of ours shares: starting from a pretrained file of any known layout."""

from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS

from fdam_mm.checkpoints import load_pretrained
from fdam_mm.toolkits.types import is_kind


class PretrainedBackbone(BaseModule):
    """A ``BaseModule`` whose ``init_cfg=dict(type="Pretrained", checkpoint=..., prefix=...)``
    loads safely (no unpickling), converts foreign layouts and refuses a file that does not fit.

    What a backbone adds for dense tasks, such as norms on its outputs, may be missing in a file:
    ``not_in_pretrained`` has the beginnings of those keys.
    """

    not_in_pretrained: tuple[str, ...] = ()

    def init_weights(self) -> None:
        init_cfg = self.init_cfg
        if isinstance(init_cfg, list) and len(init_cfg) == 1:
            init_cfg = init_cfg[0]
        if isinstance(init_cfg, dict) and is_kind(
            init_cfg.get("type", ""), PretrainedInit, WEIGHT_INITIALIZERS
        ):
            settings = {k: v for k, v in init_cfg.items() if k != "type"}
            load_pretrained(self, **settings)
            self._is_init = True
        else:
            super().init_weights()
