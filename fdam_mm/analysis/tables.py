"""What was measured, as CSV for other programs."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from .figures import Measured
from .measuring import LayerMeasures

_SINGLE = ("high_frequency_ratio", "token_similarity", "effective_rank")


def layers_csv(measured: Measured) -> str:
    """A row for each layer of each model: its single numbers."""
    rows = [
        [model, index, layer.layer, *(f"{getattr(layer, name):.6g}" for name in _SINGLE)]
        for model, layers in measured.items()
        for index, layer in enumerate(layers, 1)
    ]
    return _csv(["model", "number", "layer", *_SINGLE], rows)


def profiles_csv(measured: Measured) -> str:
    """A row for each frequency of each profile of each layer; frequency 1 is π."""
    rows = [
        [model, layer.layer, quantity, f"{frequency:.6g}", f"{value:.6g}"]
        for model, layers in measured.items()
        for layer in layers
        for quantity, frequency, value in _profiles(layer)
    ]
    return _csv(["model", "layer", "quantity", "frequency", "value"], rows)


def _profiles(layer: LayerMeasures) -> Iterator[tuple[str, float, float]]:
    profiles = {"log_amplitude": (layer.frequencies, layer.amplitude)}
    for name, response in (("response", layer.response), ("inverted", layer.inverted)):
        if response is not None:
            frequencies = response.frequencies.tolist()
            profiles[f"{name}_mean"] = frequencies, response.mean.tolist()
            profiles[f"{name}_deviation"] = frequencies, response.deviation.tolist()
    for name, gains in layer.gains.items():
        profiles[f"gain_{name}"] = layer.frequencies, gains
    for quantity, (frequencies, values) in profiles.items():
        for frequency, value in zip(frequencies, values, strict=False):
            yield quantity, frequency, value


def _csv(head: list[str], rows: Sequence[Sequence[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
