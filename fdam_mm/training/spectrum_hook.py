"""Measuring what layers do to frequencies while a model trains."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from fdam_mm.analysis.layers import layers_of
from fdam_mm.analysis.recording import Watcher, recording
from fdam_mm.analysis.spectra import high_frequency_ratio
from fdam_mm.analysis.tokens import effective_rank, some_tokens
from fdam_mm.errors import ConfigError, UsageError

from .unwrapping import bare_model

_MOST_TOKENS = 256  # whose rank is measured, of one picture: a few milliseconds for each layer


@HOOKS.register_module()
class SpectrumHook(Hook):
    """Logs each layer's high-frequency ratio and effective rank, every so many iterations.

    They go to the run's visualization backends as ``high_frequency_ratio/LAYER`` and
    ``effective_rank/LAYER``, not to the console, and ``fdam report`` draws them. Measured is the
    first picture of the batch of the first process, as the model trains on it. The forward is
    watched by hooks and not changed. docs/analysis.md has the cost.

    Args:
        interval: Iterations from one measurement to the next.
        layers: Names of modules below the backbone, see :func:`fdam_mm.analysis.layers.layers_of`.

    Raises:
        ConfigError: ``interval`` is not positive, or ``layers`` names nothing.
    """

    def __init__(self, interval: int = 200, layers: Sequence[str] = ()) -> None:
        if not isinstance(interval, int) or interval < 1:
            raise ConfigError(f"SpectrumHook: interval is {interval!r}, expected at least 1")
        self.interval, self.patterns = interval, tuple(layers)
        self._watched = ExitStack()
        self._found = _First()

    def before_train(self, runner: Runner) -> None:
        model = bare_model(runner.model)
        self._root = getattr(model, "backbone", model)
        try:
            self._layers = layers_of(self._root, self.patterns)
        except UsageError as error:
            raise ConfigError(f"SpectrumHook: {error}") from error

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if is_main_process() and self.every_n_train_iters(runner, self.interval):
            self._found = _First()
            watch = recording(self._root, self._layers, self._found, attentions=False)
            self._watched.enter_context(watch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._watched.close()
        if self._found.scalars:
            runner.visualizer.add_scalars(self._found.scalars, step=runner.iter + 1)
            self._found.scalars = {}

    def after_train(self, runner: Runner) -> None:
        self._watched.close()


class _First(Watcher):
    """The numbers of the first picture; a layer recomputed in the backward has them already."""

    def __init__(self) -> None:
        self.scalars: dict[str, float] = {}

    @torch.no_grad()
    def on_map(self, layer: str, features: Tensor) -> None:
        if f"high_frequency_ratio/{layer}" in self.scalars:
            return
        first = features[:1].float()
        tokens = some_tokens(first.flatten(2).mT, _MOST_TOKENS)
        self.scalars[f"high_frequency_ratio/{layer}"] = float(high_frequency_ratio(first))
        self.scalars[f"effective_rank/{layer}"] = float(effective_rank(tokens))
