"""The page of an analysis: all layers at once, and one after another by a slider."""

from collections.abc import Mapping, Sequence

from fdam_mm.report.markup import Cell, Markup, element, join, page, table

from .figures import Measured, all_views, by_layer, of_layer, views_of_layer

_SCRIPT = """
const slider = document.getElementById("slider");
const layers = document.querySelectorAll(".layer");
const show = () => layers.forEach((layer, i) => { layer.hidden = i != slider.value; });
slider.addEventListener("input", show);
"""
_STYLE = Markup(
    "<style>#slider { width: 100%; accent-color: var(--blue); } "
    ".layer[hidden] { display: none; } .views svg { max-width: 760px; }</style>"
)
_EXPLAINED = {
    "High-frequency ratio": "share of a layer's energy above a quarter of a turn for each step",
    "Token similarity": "mean cosine of two tokens; 1 where all point one way",
    "Effective rank": "directions that the tokens fill, exp of the singular values' entropy",
    "ln |F|": "mean amplitude of the output by frequency; 1 is π, half a period for each step",
    "log(1 + |F(A)|)": "how attention passes frequencies, mean and spread over tokens and heads; "
    "uniform attention passes 0 alone, identity all at 0.69",
    "Spectra": "centred, logarithmic, one scale for all; feature maps are the channels' "
    "deviations from their means, each on its own scale",
}


def analysis_page(measured: Measured, pictures: int) -> str:
    """A page that needs nothing beside itself.

    Args:
        measured: One model, or several side by side.
        pictures: How many were measured.
    """
    title = " and ".join(measured)
    charts = by_layer(measured)
    body = [
        _STYLE,
        element("h1", f"Frequencies in {title}"),
        element("p", f"{pictures} pictures; maps are of the first", class_="soft"),
        element("h2", "Layer by layer"),
        element("div", join(map(Markup, charts.values())), class_="charts"),
        element("h2", "One layer"),
        _slider(measured),
        element("h2", "All maps and spectra"),
        element("div", Markup(all_views(measured)[0]), class_="wide"),
        element("h2", "Numbers"),
        _numbers(measured),
        element("h2", "What they are"),
        table(["", ""], _EXPLAINED.items(), class_="words"),
    ]
    return page(f"Frequencies in {title}", join(body), _SCRIPT)


def _slider(measured: Measured) -> Markup:
    number = max(len(layers) for layers in measured.values())
    slider = Markup(
        f'<input id="slider" type="range" min="0" max="{number - 1}" value="0" aria-label="layer">'
    )
    return join([slider, *(_layer(measured, index, index > 0) for index in range(number))])


def _layer(measured: Measured, index: int, hidden: bool) -> Markup:
    names = dict.fromkeys(
        layers[index].layer for layers in measured.values() if index < len(layers)
    )
    content = [
        element("h3", f"{index + 1}: {' / '.join(names)}"),
        element("div", Markup(views_of_layer(measured, index)), class_="views"),
        element("div", join(map(Markup, of_layer(measured, index))), class_="charts"),
    ]
    attributes: Mapping[str, str] = dict(class_="layer", **({"hidden": ""} if hidden else {}))
    return element("div", join(content), **attributes)


def _numbers(measured: Measured) -> Markup:
    rows: list[Sequence[Cell]] = [
        [
            f"{name}, {layer.layer}",
            f"{layer.high_frequency_ratio:.3f}",
            f"{layer.token_similarity:.3f}",
            f"{layer.effective_rank:.1f}",
        ]
        for name, layers in measured.items()
        for layer in layers
    ]
    return table(["layer", "high frequencies", "similarity", "effective rank"], rows)
