"""All measures of all layers of a model on some pictures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from fdam_mm.layers import FreqScale

from .gains import band_gains, gate_maps
from .layers import layers_of
from .recording import Attended, GridFinder, Inverted, Watcher, recording
from .responses import Response, Rows, attention_rows, frequency_response, inverted_rows
from .spectra import high_frequency_ratio, radial_log_amplitude
from .tokens import effective_rank, some_tokens, token_similarity

_Input = TypeVar("_Input")
_MOST_TOKENS = 4096  # of a map whose rank is measured: an SVD of more takes minutes


class Views(NamedTuple):
    """A layer on the first picture, (H, W) each."""

    features: Tensor  # root mean square over the channels, less each channel's mean
    spectrum: Tensor  # ln of the mean amplitude of the channels, frequency 0 in the middle
    low: Tensor | None  # AttInv's gates, mean over the heads
    high: Tensor | None


class LayerMeasures(NamedTuple):
    """What one layer does, mean over the pictures; None where the layer has no such thing."""

    layer: str
    frequencies: list[float]  # of the rings, 0 to 1, 1 is π; of the layer's own grid
    amplitude: list[float]  # ln |F| of its output
    high_frequency_ratio: float
    token_similarity: float
    effective_rank: float
    response: Response | None  # log(1 + |F(A)|)
    inverted: Response | None  # the same, with AttInv
    gains: dict[str, list[float]]  # |1 + w| of each FreqScale, by its name; the map's rings
    views: Views


def measure(
    model: nn.Module,
    inputs: Iterable[_Input],
    run: Callable[[_Input], Any] | None = None,
    layers: Sequence[str] = (),
) -> list[LayerMeasures]:
    """Measure every layer, over some inputs.

    Pictures of several sizes are served where a layer's grids stay of one shorter side, whose
    rings are the same.

    Args:
        model: Any; it is not changed, and runs in the mode that it is in.
        inputs: What ``run`` takes, one after another.
        run: Runs the model once; by default the model itself on an image (B, 3, H, W).
        layers: See :func:`.layers.layers_of`.

    Returns:
        The layers that have maps, in the order in which the model runs them.

    Raises:
        UsageError: The model has no blocks that can be told, or a pattern matches nothing.
    """
    chosen = layers_of(model, layers)
    sums = _Sums()
    with torch.no_grad(), recording(model, chosen, sums) as sums.grids:
        for item in inputs:
            (run or model)(item)
    return sums.means()


@dataclass
class _Layer:
    """Sums over pictures of one layer."""

    maps: dict[str, Tensor] = field(default_factory=dict)
    frequencies: Tensor | None = None
    pictures: int = 0
    responses: list[Response] = field(default_factory=list)
    inverted: list[Response] = field(default_factory=list)
    gains: dict[str, Tensor] = field(default_factory=dict)  # sums
    scaled: dict[str, int] = field(default_factory=dict)  # pictures in them
    views: Views | None = None
    gates: tuple[Tensor | None, Tensor | None] = None, None  # of the first picture

    def add(self, features: Tensor) -> None:
        """A map (B, C, H, W)."""
        frequencies, amplitude = radial_log_amplitude(features)
        if self.frequencies is not None and not torch.equal(frequencies, self.frequencies):
            return
        self.frequencies = frequencies
        if self.views is None:
            self.views = Views(*_picture(features[0]), *self.gates)
        tokens = some_tokens(features.flatten(2).mT, _MOST_TOKENS)
        values = dict(
            amplitude=amplitude.cpu() * len(features),
            high_frequency_ratio=high_frequency_ratio(features).sum().cpu(),
            token_similarity=token_similarity(tokens).sum().cpu(),
            effective_rank=effective_rank(tokens).sum().cpu(),
        )
        for name, value in values.items():
            self.maps[name] = self.maps.get(name, torch.zeros(())) + value
        self.pictures += len(features)


class _Sums(Watcher):
    grids: GridFinder

    def __init__(self) -> None:
        self.layers: dict[str, _Layer] = defaultdict(_Layer)

    def on_map(self, layer: str, features: Tensor) -> None:
        if features.shape[-2] * features.shape[-1] > 1:
            self.layers[layer].add(features)

    def on_attention(self, layer: str, attended: Attended, inverted: Inverted | None) -> None:
        keys, queries = attended.key.shape[-2], attended.query.shape[-2]
        found = self.grids.split(keys)
        hw, prefix = found or ((isqrt(keys), isqrt(keys)), 0)  # a window, mostly square
        if hw[0] * hw[1] + prefix != keys or keys < 2:
            return
        of_queries = prefix if queries == keys else 0
        its = self.layers[layer]
        its.responses.append(frequency_response(_rows(attended), hw, prefix, of_queries))
        if inverted is not None and queries == keys and inverted.x.shape[1] == keys:
            if found and not its.inverted:
                low, high = gate_maps(inverted.layer, inverted.x[:1], hw, prefix)
                its.gates = _mean_gate(low), _mean_gate(high)
            rows = inverted_rows(_rows(attended), inverted.layer, inverted.x)
            its.inverted.append(frequency_response(rows, hw, prefix, of_queries))

    def on_freq_scale(self, layer: str, name: str, scale: FreqScale, features: Tensor) -> None:
        its = self.layers[layer]
        gains = band_gains(scale, features)[1].mean(1).sum(0).cpu()  # (R,)
        if name in its.gains and len(its.gains[name]) != len(gains):
            return
        its.gains[name] = its.gains.get(name, torch.zeros(())) + gains
        its.scaled[name] = its.scaled.get(name, 0) + len(features)

    def means(self) -> list[LayerMeasures]:
        return [_means(name, layer) for name, layer in self.layers.items() if layer.pictures]


def _means(name: str, layer: _Layer) -> LayerMeasures:
    means = {key: value / layer.pictures for key, value in layer.maps.items()}
    assert layer.frequencies is not None and layer.views is not None
    return LayerMeasures(
        name,
        layer.frequencies.tolist(),
        means["amplitude"].tolist(),
        float(means["high_frequency_ratio"]),
        float(means["token_similarity"]),
        float(means["effective_rank"]),
        _mean_response(layer.responses),
        _mean_response(layer.inverted),
        {key: (gains / layer.scaled[key]).tolist() for key, gains in layer.gains.items()},
        layer.views,
    )


def _mean_response(responses: Sequence[Response]) -> Response | None:
    """Of those on the grid of the first."""
    if not responses:
        return None
    first = responses[0].frequencies
    alike = [r for r in responses if r.frequencies.equal(first)]
    mean = torch.stack([r.mean for r in alike]).mean(0)
    moments = torch.stack([r.deviation.square() + r.mean.square() for r in alike]).mean(0)
    return Response(first, mean, (moments - mean.square()).clamp_min(0).sqrt())


def _picture(features: Tensor) -> tuple[Tensor, Tensor]:
    """:class:`Views` of a map (C, H, W), without gates."""
    deviation = features.float() - features.float().mean((-2, -1), keepdim=True)
    amplitude = torch.fft.fft2(features.float(), norm="ortho").abs().mean(0)
    floor = torch.finfo(torch.float32).tiny
    spectrum = torch.fft.fftshift(amplitude.clamp_min(floor).log())
    return deviation.square().mean(0).sqrt().cpu(), spectrum.cpu()


def _mean_gate(gate: Tensor | None) -> Tensor | None:
    """(1, h, H, W) -> (H, W)."""
    return None if gate is None else gate[0].mean(0).cpu()


def _rows(attended: Attended) -> Iterator[Rows]:
    return attention_rows(*attended)
