"""Figures of what was measured, as SVG texts and as PNG files."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

from torch import Tensor

from fdam_mm.report.charts import COLOURS, line_chart, style_axes, svg_figure, to_svg

from .measuring import LayerMeasures
from .responses import Response

Measured = Mapping[str, Sequence[LayerMeasures]]
"""Each model's layers, by the model's name."""

_BY_LAYER: dict[str, Callable[[LayerMeasures], float]] = {
    "High-frequency ratio": lambda layer: layer.high_frequency_ratio,
    "Token similarity": lambda layer: layer.token_similarity,
    "Effective rank": lambda layer: layer.effective_rank,
}


def by_layer(measured: Measured) -> dict[str, str]:
    """A chart over the layers for each single number, by its title."""
    return {
        title: line_chart(
            title,
            [
                (name, range(1, len(layers) + 1), [value(layer) for layer in layers])
                for name, layers in measured.items()
            ],
            "layer",
        )
        for title, value in _BY_LAYER.items()
    }


def amplitudes_by_layer(measured: Measured) -> str:
    """A small chart of ln |F| for each layer, all on the same axes, a line for each model."""
    number = max(len(layers) for layers in measured.values())
    columns = min(4, number)
    rows = -(-number // columns)
    with svg_figure(2.4 * columns, 1.75 * rows + 0.4) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for index, place in enumerate(axes.flat):
            if index >= number:
                place.set_axis_off()
                continue
            for colour, (name, layers) in zip(COLOURS, measured.items(), strict=False):
                if index < len(layers):
                    layer = layers[index]
                    label = name if index == 0 else None
                    place.plot(layer.frequencies, layer.amplitude, color=colour, label=label)
            style_axes(place, str(index + 1), xlim=(0, 1))
        figure.supxlabel("frequency / π", fontsize=8)
        if len(measured) > 1:
            figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
        return to_svg(figure)


def of_layer(measured: Measured, index: int) -> list[str]:
    """The charts of one layer, the same one of each model: what it holds, passes and scales."""
    layers = {name: found[index] for name, found in measured.items() if index < len(found)}
    charts = [_amplitudes(layers)]
    if any(layer.response for layer in layers.values()):
        charts.append(_responses(layers))
    if any(layer.gains for layer in layers.values()):
        charts.append(_gains(layers))
    return charts


def _amplitudes(layers: Mapping[str, LayerMeasures]) -> str:
    lines = [(name, layer.frequencies, layer.amplitude) for name, layer in layers.items()]
    return line_chart("ln |F| of the output", lines, "frequency / π", xlim=(0, 1))


def _gains(layers: Mapping[str, LayerMeasures]) -> str:
    lines = [
        (f"{name}: {scale}", layer.frequencies, gains)
        for name, layer in layers.items()
        for scale, gains in layer.gains.items()
        if len(gains) == len(layer.frequencies)
    ]
    return line_chart("FreqScale: mean |1 + w|", lines, "frequency / π", xlim=(0, 1))


def _responses(layers: Mapping[str, LayerMeasures]) -> str:
    """Mean and, as a band, the standard deviation over tokens, heads and pictures."""
    drawn: list[tuple[str, Response]] = []
    for name, layer in layers.items():
        drawn += [(name, layer.response)] if layer.response else []
        drawn += [(f"{name}, with AttInv", layer.inverted)] if layer.inverted else []
    with svg_figure(5.2, 3.2) as figure:
        axes: Any = figure.subplots()
        for colour, (name, response) in zip(COLOURS, drawn, strict=False):
            x, mean, deviation = (t.numpy() for t in response)
            axes.plot(x, mean, color=colour, label=name, linewidth=1.4, marker="o", markersize=3)
            axes.fill_between(
                x, mean - deviation, mean + deviation, color=colour, alpha=0.13, linewidth=0
            )
        title = "log(1 + |F(A)|) of its attention"
        style_axes(axes, title, xlabel="frequency / π", xlim=(0, 1))
        figure.legend(loc="outside lower center", ncols=2, fontsize=7.5, frameon=False)
        return to_svg(figure)


def views_of_layer(measured: Measured, index: int) -> str:
    """Maps beside their centred spectra, and AttInv's gates, a row for each model."""
    rows = {
        name: {k: v for k, v in found[index].views._asdict().items() if v is not None}
        for name, found in measured.items()
        if index < len(found)
    }
    columns = list(dict.fromkeys(key for views in rows.values() for key in views))
    with svg_figure(2.1 * len(columns), 2.25 * len(rows)) as figure:
        _draw_views(figure, rows, columns)
        return to_svg(figure)


_TITLES = {
    "features": "feature map",
    "spectrum": "its spectrum",
    "low": "AttInv low gate",
    "high": "AttInv high gate",
}


def _draw_views(
    figure: Any, rows: Mapping[str, Mapping[str, Tensor]], columns: Sequence[str]
) -> None:
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    limits = {
        key: (
            min(float(views[key].min()) for views in rows.values() if key in views),
            max(float(views[key].max()) for views in rows.values() if key in views),
        )
        for key in columns
        if key != "features"  # whose scale is each model's own
    }
    for row, (name, views) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=8)
        for place, key in zip(row, columns, strict=True):
            place.set(xticks=[], yticks=[])
            if key not in views:
                place.set_frame_on(False)
                continue
            low, high = limits.get(key, (None, None))
            cmap = "viridis" if key == "features" else "magma" if key == "spectrum" else "cividis"
            place.imshow(views[key].numpy(), cmap=cmap, vmin=low, vmax=high)
            place.set_title(_TITLES[key], fontsize=8)


def all_views(measured: Measured) -> tuple[str, bytes]:
    """The paper's figure: all layers' maps beside their spectra, as SVG and as PNG."""
    number = max(len(layers) for layers in measured.values())
    with svg_figure(1.25 * number + 0.4, 2.6 * len(measured)) as figure:
        axes = figure.subplots(2 * len(measured), number, squeeze=False)
        for place in axes.flat:
            place.set(xticks=[], yticks=[])
            place.set_frame_on(False)
        for model, (name, layers) in enumerate(measured.items()):
            axes[2 * model, 0].set_ylabel(name, fontsize=8)
            low = min(float(layer.views.spectrum.min()) for layer in layers)
            high = max(float(layer.views.spectrum.max()) for layer in layers)
            for index, layer in enumerate(layers):
                above, below = axes[2 * model, index], axes[2 * model + 1, index]
                above.imshow(layer.views.features.numpy(), cmap="viridis")
                above.set_title(str(index + 1), fontsize=8)
                below.imshow(layer.views.spectrum.numpy(), cmap="magma", vmin=low, vmax=high)
        data = BytesIO()
        figure.savefig(data, format="png", dpi=160)
        return to_svg(figure), data.getvalue()
