"""TensorBoard, MLflow and W&B beside the local log: mmengine's backends by their names."""

from mmengine.config import Config

from fdam_mm.errors import UsageError
from fdam_mm.toolkits.optional import importable

BACKENDS = {
    "tensorboard": ("TensorboardVisBackend", "tensorboard"),
    "mlflow": ("MLflowVisBackend", "mlflow"),
    "wandb": ("WandbVisBackend", "wandb"),
}
"""mmengine's type and the package that it needs, by our name for it."""


def add_backend(config: Config, name: str) -> None:
    """Let a run also log to one of :data:`BACKENDS`; one that the config has already stays.

    Files go to ``vis_data`` in the folder of the run's log. What a backend's own settings say (a
    server, a project) is for the config: ``visualizer.vis_backends``.

    Raises:
        UsageError: Its package is not installed.
    """
    kind, package = BACKENDS[name]
    if not importable(package):
        raise UsageError(f"--{name} needs the package {package}: pip install {package}")
    visualizer = dict(config.get("visualizer") or dict(type="Visualizer"))
    backends = visualizer.get("vis_backends") or [dict(type="LocalVisBackend")]
    backends = [backends] if isinstance(backends, dict) else list(backends)
    if all(backend.get("type") != kind for backend in backends):
        backends.append(dict(type=kind))
    config.visualizer = {**visualizer, "vis_backends": backends}
