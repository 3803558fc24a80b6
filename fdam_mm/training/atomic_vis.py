"""mmengine's local log of scalars, config and pictures, never left half written."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.fileio import dump
from mmengine.registry import VISBACKENDS
from mmengine.visualization import LocalVisBackend
from mmengine.visualization.vis_backend import force_init_env

from fdam_mm.files import write_atomically


@VISBACKENDS.register_module()
class AtomicVisBackend(LocalVisBackend):
    """Configs and pictures appear whole, and lines of scalars are added whole."""

    @force_init_env
    def add_config(self, config: Config, **_: Any) -> None:
        write_atomically(self._config_save_file, config.dump())

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **_: Any) -> None:
        """Write a picture (H, W, 3) of RGB bytes."""
        data = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        write_atomically(Path(self._img_save_dir) / f"{name}_{step}.png", data)

    def _dump(self, value_dict: dict[str, Any], file_path: str, file_format: str) -> None:
        line = dump(value_dict, file_format=file_format) + "\n"
        with open(file_path, "ab", buffering=0) as file:
            file.write(line.encode())


def atomic_backends(visualizer: dict[str, Any]) -> dict[str, Any]:
    """Settings of a visualizer, with ours where they name mmengine's LocalVisBackend."""
    backends = visualizer.get("vis_backends")
    backends = [backends] if isinstance(backends, dict) else backends
    if not isinstance(backends, list | tuple):
        return visualizer
    return ConfigDict(visualizer, vis_backends=[_atomic(backend) for backend in backends])


def _atomic(backend: Any) -> Any:
    kind = backend.get("type") if isinstance(backend, dict) else None
    kind = VISBACKENDS.get(kind) if isinstance(kind, str) else kind
    if kind is not LocalVisBackend:
        return backend
    return {"name": "LocalVisBackend", **backend, "type": AtomicVisBackend}
