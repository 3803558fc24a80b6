"""The figure of the README: feature maps and spectra of a plain model beside its twin with FDAM.

  python benchmarks/spectra_figure.py work_dirs/vit_demo work_dirs/fdam-vit_demo \
      data/demo/images/validation --out docs/spectra.png

Both are work folders of one config and its twin. Maps and spectra are of the first picture, curves
of the last layer and ratios are means over all of them.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
from matplotlib.figure import Figure

from fdam_mm.analysis.measuring import LayerMeasures, measure
from fdam_mm.analysis.models import open_model
from fdam_mm.apis.inputs import find_pictures

COLOURS = ("#56657a", "#c1551b")


def main() -> None:
    """Measure both models and draw them side by side."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("plain")
    arguments.add_argument("fdam")
    arguments.add_argument("images")
    arguments.add_argument("-n", type=int, default=16, help="pictures at most")
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    pictures = [picture.path for picture in find_pictures([args.images])[: args.n]]
    measured = {}
    for name, folder in (("plain", args.plain), ("with FDAM", args.fdam)):
        opened = open_model(folder, None, "cpu")
        measured[name] = measure(opened.model, pictures, opened.run)
        print(name, [round(layer.high_frequency_ratio, 3) for layer in measured[name]])
    draw(measured, cv2.imread(str(pictures[0]))[..., ::-1]).savefig(args.out, dpi=110)


def draw(measured: dict[str, list[LayerMeasures]], picture: Any) -> Figure:
    """A row for each model: maps over spectra by layer, and the curves beside them."""
    number = max(map(len, measured.values()))
    figure = Figure(figsize=(1.25 * (number + 1) + 3.4, 5.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.25 * (number + 1), 3.4])
    axes = left.subplots(4, number + 1)
    for place in axes.flat:
        place.set(xticks=[], yticks=[])
        place.set_frame_on(False)
    axes[0, 0].imshow(picture)
    axes[0, 0].set_title("picture", fontsize=9)
    spectra = [layer.views.spectrum for layers in measured.values() for layer in layers]
    least = min(float(spectrum.flatten().quantile(0.02)) for spectrum in spectra)
    limits = dict(vmin=least, vmax=max(float(spectrum.max()) for spectrum in spectra))
    for row, (name, layers) in enumerate(measured.items()):
        axes[2 * row, 1].set_ylabel(f"{name}\nmap", fontsize=9)
        axes[2 * row + 1, 1].set_ylabel("spectrum", fontsize=9)
        for column, layer in enumerate(layers, 1):
            axes[2 * row, column].imshow(layer.views.features.numpy(), cmap="viridis")
            axes[2 * row + 1, column].imshow(layer.views.spectrum.numpy(), cmap="magma", **limits)
            if not row:
                axes[0, column].set_title(f"layer {column}", fontsize=9)
    above, below = right.subplots(2, 1)
    for colour, (name, layers) in zip(COLOURS, measured.items(), strict=True):
        above.plot(layers[-1].frequencies, layers[-1].amplitude, color=colour, label=name)
        ratios = [layer.high_frequency_ratio for layer in layers]
        below.plot(range(1, len(layers) + 1), ratios, color=colour, marker="o", label=name)
    above.set_title("ln |F| of the last layer, by frequency / π", fontsize=9)
    below.set_title("high-frequency ratio, by layer", fontsize=9)
    below.set_xticks(range(1, number + 1))
    for place in (above, below):
        place.tick_params(labelsize=8)
        place.legend(fontsize=8, frameon=False)
        place.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
