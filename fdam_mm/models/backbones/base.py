"""What every backbone of ours shares: starting from a pretrained file of any known layout."""

from mmengine.model import BaseModule

from fdam_mm.checkpoints import load_pretrained


class PretrainedBackbone(BaseModule):
    """A ``BaseModule`` whose ``init_cfg=dict(type="Pretrained", checkpoint=..., prefix=...)``
    loads safely (no unpickling), converts foreign layouts and refuses a file that does not fit."""

    def init_weights(self) -> None:
        init_cfg = self.init_cfg
        if isinstance(init_cfg, dict) and init_cfg.get("type") == "Pretrained":
            settings = {k: v for k, v in init_cfg.items() if k != "type"}
            load_pretrained(self, **settings)
            self._is_init = True
        else:
            super().init_weights()
