"""The page of one run, or of several side by side."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from fdam_mm.apis import load_model
from fdam_mm.files import write_atomically

from .charts import Line, line_chart, matrix_chart
from .collecting import SCORE
from .confusion import OVERLAP, largest_confusions
from .evaluating import Evaluation
from .log import SPECTRA, Series, thinned
from .markup import Cell, Markup, element, join, legend, page, picture, table, text
from .pictures import (
    can_be_shown,
    extremes,
    largest_differences,
    predicted_panels,
    true_panel,
)
from .runs import ReportedRun

_TERMS = 8  # of a loss, at most in a chart
_MATRIX = 30  # classes, at most in a table
_MAIN = ("mIoU", "coco/segm_mAP", "coco/bbox_mAP", "dota/mAP", "coco_panoptic/PQ")


def write_page(runs: Sequence[ReportedRun], file: str | Path, pictures: int = 4) -> None:
    """Write an HTML page that needs nothing beside itself.

    Args:
        runs: One, or several to compare; differences are to the first.
        file: The page.
        pictures: How many of the best, and how many of the worst; of several runs, of those that
            they differ most on.
    """
    title = " and ".join(run.name for run in runs)
    sections = [
        element("h1", title),
        element("p", _subtitle(runs), class_="soft"),
        _summary(runs),
        _section("Training", _curves(runs)),
        _section("By class", _by_class(runs)),
        _section("Confusions", join(_confusion(run, len(runs) > 1) for run in runs)),
        _section("Precision and recall", _precision_recall(runs)),
        *_pictures(runs, pictures),
        _section("Cost, versions, commands", _circumstances(runs)),
    ]
    write_atomically(file, page(title, join(sections)))


def _section(title: str, content: Markup) -> Markup:
    return join([element("h2", title), content]) if content else Markup("")


def _subtitle(runs: Sequence[ReportedRun]) -> str:
    said = [
        f"{run.checkpoint.name} on {len(run.evaluation.files)} pictures ({run.split} data), "
        f"{len(run.evaluation.classes)} classes"
        for run in runs
    ]
    return said[0] if len(set(said)) == 1 else "; ".join(said)


def _summary(runs: Sequence[ReportedRun]) -> Markup:
    measured = [_measured(run.evaluation.metrics) for run in runs]
    names = list(dict.fromkeys(name for metrics in measured for name in metrics))
    if len(runs) == 1:
        (metrics,) = measured
        main = [name for name in _MAIN if name in metrics] or names[:1]
        shown = [*main, *(name for name in names if name not in main)]
        tiles = [(name, text(_number(metrics[name]))) for name in shown[:6]]
        if runs[0].evaluation.counts_pixels:
            mean = np.nanmean(runs[0].evaluation.by_class["boundary IoU"])
            tiles.append(("mean boundary IoU", text(float(mean))))
        rest = [(name, _number(metrics[name])) for name in shown[6:]]
        return join([_tiles(tiles), table(["", ""], rest) if rest else ""])
    rows: list[list[Cell]] = []
    for name in names:
        values = [metrics.get(name) for metrics in measured]
        rows.append([name, *_beside(values)])
    if all(run.evaluation.counts_pixels for run in runs):
        means = [float(np.nanmean(run.evaluation.by_class["boundary IoU"])) for run in runs]
        rows.append(["mean boundary IoU", *_beside(means)])
    return table(_heads([run.name for run in runs]), rows)


def _measured(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without COCO's -1, which says that there is nothing to measure, as no large objects."""
    return {name: value for name, value in metrics.items() if value >= 0}


def _tiles(values: Sequence[tuple[str, Cell]]) -> Markup:
    return element(
        "div",
        join(
            element("div", join([element("b", value), element("span", name)]), class_="tile")
            for name, value in values
        ),
        class_="tiles",
    )


def _heads(names: Sequence[str]) -> list[Cell]:
    """A column for each run, and one for the difference of each but the first."""
    return ["", names[0], *(head for name in names[1:] for head in (name, "difference"))]


def _beside(values: Sequence[float | None]) -> list[Cell]:
    """The first, and each of the others with its difference to it; all with as many decimals."""
    known = [None if v is None or math.isnan(v) else v for v in values]
    digits = 3 if all(abs(v) <= 1 for v in known if v is not None) else 2
    first, *others = known
    cells: list[Cell] = [None if first is None else f"{first:.{digits}f}"]
    for value in others:
        if value is None or first is None:
            cells += [None if value is None else f"{value:.{digits}f}", None]
        else:
            cells += [f"{value:.{digits}f}", f"{value - first:+.{digits}f}"]
    return cells


def _number(value: float | None) -> str | None:
    """As the test tool says it: percent with two decimals, quotients with three."""
    if value is None or math.isnan(value):
        return None
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.2f}"


def _curves(runs: Sequence[ReportedRun]) -> Markup:
    def lines(of: Callable[[ReportedRun], dict[str, Series]], names: Sequence[str]) -> list[Line]:
        several = len(runs) > 1
        return [
            (f"{run.name}: {name}" if several else name, *thinned(of(run)[name]))
            for name in names
            for run in runs
            if name in of(run)
        ]

    charts = []
    losses = _names(run.log.losses for run in runs)
    terms = [name for name in losses if name != "loss"]
    shown = losses if len(losses) <= _TERMS and len(runs) == 1 else ["loss"]
    if losses:
        found = lines(lambda run: run.log.losses, shown)
        charts.append(line_chart("loss", found, "iteration"))
    if rates := _names(run.log.rates for run in runs):
        charts.append(
            line_chart("learning rate", lines(lambda run: run.log.rates, rates), "iteration")
        )
    for group in _groups(_names(run.log.metrics for run in runs)):
        found = lines(lambda run: run.log.metrics, group)
        title = "validation" if len(group) > 1 else f"validation: {group[0]}"
        charts.append(line_chart(title, found, "iteration or epoch"))
    spectra = _names(run.log.spectra for run in runs)
    for quantity in SPECTRA:
        layers = [name for name in spectra if name.startswith(quantity)]
        if layers:
            found = lines(lambda run: run.log.spectra, layers)
            charts.append(line_chart(quantity[:-1].replace("_", " "), found, "iteration"))
    if not charts:
        return element("p", "The folder has no log of scalars.", class_="soft")
    drawn = element("div", join(element("div", Markup(c)) for c in charts), class_="charts")
    left_out = shown == ["loss"] and terms
    note = f"{len(terms)} terms of the loss are not drawn: {', '.join(terms)}."
    return join([drawn, element("p", note, class_="soft") if left_out else ""])


def _names(groups: Any) -> list[str]:
    names = list(dict.fromkeys(name for group in groups for name in group))
    return sorted(names, key=lambda name: name not in ("loss", "lr"))


def _groups(names: Sequence[str]) -> Iterator[list[str]]:
    """Metrics that share a chart: those of one kind ("coco/bbox", "PQ"), at most eight."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        prefix, _, metric = name.rpartition("/")
        kind = metric.partition("_")[0] if prefix else ""
        groups.setdefault((prefix, kind), []).append(name)
    for group in groups.values():
        yield from (group[i : i + _TERMS] for i in range(0, len(group), _TERMS))


def _by_class(runs: Sequence[ReportedRun]) -> Markup:
    first = runs[0].evaluation
    if any(run.evaluation.classes != first.classes for run in runs):
        return join(join([element("h3", run.name), _class_table(run)]) for run in runs)
    if len(runs) == 1:
        return _class_table(runs[0])
    there = sorted({k for run in runs for k in run.evaluation.there})
    columns = [c for c in first.by_class if c not in ("objects", "share of pixels")]
    shown = columns[:1] + [c for c in columns if "boundary" in c or c.endswith("AP")]
    tables = []
    for column in dict.fromkeys(shown):
        rows = []
        for k in there:
            values = [float(run.evaluation.by_class[column][k]) for run in runs]
            rows.append([first.classes[k], *_beside(values)])
        tables += [element("h3", column), table(_heads([run.name for run in runs]), rows)]
    return join([*tables, _left_out(first, there)])


def _class_table(run: ReportedRun) -> Markup:
    found = run.evaluation
    columns = found.by_class
    rows: list[list[Cell]] = [
        [_named(found, k), *(_column_cell(c, columns[c][k]) for c in columns)] for k in found.there
    ]
    measured = [c for c in columns if c not in ("objects", "share of pixels")]
    means = {c: _mean(columns[c]) for c in measured}
    rows.append(["mean", *(_percent(means.get(c, math.nan)) for c in columns)])
    note = (
        "Percent. Boundary IoU counts the pixels within 2 % of the picture's diagonal from where "
        "a class ends."
        if found.counts_pixels
        else f"Percent; objects are counted where boxes are compared at IoU {OVERLAP}."
    )
    return join(
        [
            table(["class", *columns], rows),
            element("p", note, class_="soft"),
            _left_out(found, found.there),
        ]
    )


def _left_out(found: Evaluation, there: Sequence[int]) -> Markup:
    """Says that a table is not of all classes."""
    missing = len(found.classes) - len(there)
    note = (
        f"{missing} of {len(found.classes)} classes are not shown: these pictures have none of "
        "them, and none was predicted."
    )
    return element("p", note, class_="soft") if missing else Markup("")


def _named(found: Evaluation, label: int) -> Markup:
    colour = "background:rgb({},{},{})".format(*found.palette[label])
    return join([element("i", "", class_="swatch", style=colour), found.classes[label]])


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else math.nan


def _column_cell(column: str, value: float) -> Cell:
    if column != "objects" or math.isnan(value):
        return _percent(value)
    return str(int(value))


def _percent(value: float | None) -> str | None:
    return None if value is None or math.isnan(value) else f"{value:.2f}"


def _confusion(run: ReportedRun, named: bool) -> Markup:
    found = run.evaluation
    counted = found.confusion.sum(0) + found.confusion.sum(1)
    there = [k for k in found.there if counted[k]]  # stuff of a panoptic set has no boxes
    kept = there if found.counts_pixels else [*there, len(found.classes)]
    counts, names = found.confusion[np.ix_(kept, kept)], [found.classes[k] for k in there]
    if not counts.sum():
        return Markup("")
    if found.counts_pixels:
        rows, columns = names, names
        note = "Share of the pixels of a true class (rows) that are predicted as a class (columns)"
    else:
        rows, columns = [*names, "no object"], [*names, "not found"]
        note = (
            f"Objects (rows) by what was found at their place (columns), with a score of {SCORE} "
            f"or more and an IoU of {OVERLAP} or more of the boxes; in percent of the row"
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    parts = [element("h3", run.name) if named else ""]
    if len(rows) <= _MATRIX:
        parts.append(_matrix(shares, rows, columns))
    else:
        parts.append(element("div", Markup(matrix_chart(shares)), style="max-width:620px"))
    worst = [
        (rows[r], columns[c], f"{100 * share:.1f} %")
        for r, c, share in largest_confusions(counts)
        if r < len(names)
    ]
    parts.append(element("p", f"{note}.", class_="soft"))
    if worst:
        parts += [element("h3", "Most often"), table(["true", "predicted", "share"], worst)]
    return join(parts)


def _matrix(shares: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Markup:
    def cell(share: float) -> str:
        ink = "#fff" if share > 0.55 else "#1f2328"
        style = f"background:rgba(31,111,235,{share:.3f});color:{ink}"
        return element("td", f"{100 * share:.0f}" if share >= 0.005 else "", style=style)

    head = join([element("th", ""), *(element("th", name) for name in columns)])
    body = join(
        element("tr", join([element("th", name), *(cell(float(v)) for v in values)]))
        for name, values in zip(rows, shares, strict=True)
    )
    whole = join([element("thead", element("tr", head)), element("tbody", body)])
    return element("div", element("table", whole, class_="matrix"), class_="wide")


def _precision_recall(runs: Sequence[ReportedRun]) -> Markup:
    charts = []
    for run in runs:
        for found in run.evaluation.curves:
            lines: list[Line] = [(n, x.tolist(), y.tolist()) for n, (x, y) in found.curves.items()]
            title = f"{found.kind} at IoU 0.5" + (f": {run.name}" if len(runs) > 1 else "")
            shown, left = lines[:24], len(lines) - 24
            chart = line_chart(title, shown, "recall", "precision", xlim=(0, 1.01), ylim=(0, 1.03))
            note = f"{left} further classes are not drawn." if left > 0 else ""
            charts.append(join([Markup(chart), element("p", note, class_="soft")]))
    return (
        element("div", join(element("div", c) for c in charts), class_="charts")
        if charts
        else (Markup(""))
    )


def _pictures(runs: Sequence[ReportedRun], most: int) -> list[Markup]:
    first = runs[0].evaluation
    if not most or not can_be_shown(first):
        return []
    models = [load_model(run.config, run.checkpoint) for run in runs]
    kind = "mean IoU" if first.counts_pixels else f"F1 at IoU {OVERLAP}"
    there = sorted({k for run in runs for k in run.evaluation.there})
    colours = [first.palette[k] for k in there]
    names = Markup("")
    if first.counts_pixels:
        names = legend([first.classes[k] for k in there], colours)
    if len(runs) == 1:
        best, worst = extremes(first.scores, most)
        groups = [("Worst pictures", worst), ("Best pictures", best)]
    elif all(run.evaluation.files == first.files for run in runs):
        differ = largest_differences([run.evaluation.scores for run in runs], 2 * most)
        groups = [("Pictures that the runs differ most on", differ)]
    else:
        return []
    return [
        _section(
            f"{title} ({kind})",
            join([names, *(_shown(runs, models, i) for i in tqdm(indices, title, leave=False))]),
        )
        for title, indices in groups
        if indices
    ]


def _shown(runs: Sequence[ReportedRun], models: Sequence[nn.Module], index: int) -> Markup:
    evaluation = runs[0].evaluation
    panels = [picture(p.pixels, p.title) for p in (true_panel(evaluation, index),)]
    for run, model in zip(runs, models, strict=True):
        before = f"{run.name}: " if len(runs) > 1 else ""
        said = f", {100 * run.evaluation.scores[index]:.1f}" if len(runs) > 1 else ""
        found = predicted_panels(run.evaluation, index, model)
        found = found[:1] if len(runs) > 1 else found
        panels += [picture(p.pixels, f"{before}{p.title}{said}") for p in found]
    score = "" if len(runs) > 1 else f": {100 * evaluation.scores[index]:.1f} %"
    title = f"{Path(evaluation.files[index]).name}{score}"
    return join([element("h3", title), element("div", join(panels), class_="panels")])


def _circumstances(runs: Sequence[ReportedRun]) -> Markup:
    counts = [_cost(run) for run in runs]
    rows: list[list[Cell]] = [
        [name, *(found.get(name) for found in counts)]
        for name in dict.fromkeys(name for found in counts for name in found)
    ]
    names: list[Cell] = ["", *(run.name for run in runs)]
    note = (
        "FLOPs count a multiply-add as two, of one input of the size that the config names, or of "
        "the first picture tested."
    )
    parts = [table(names, rows), element("p", note, class_="soft")] if rows else []
    started = [_started(run) for run in runs]
    keys = dict.fromkeys(name for found in started for name in found)
    rows = [[key, *(found.get(key) for found in started)] for key in keys]
    parts.append(table(names, rows, class_="words"))
    for run in runs:
        commands = [str(record.get("command", "")) for record in run.records]
        for title, command in [
            *(("trained by", command) for command in commands if command),
            ("the same metrics by", run.test_command),
        ]:
            before = f"{run.name}, " if len(runs) > 1 else ""
            parts.append(element("p", join([f"{before}{title} ", element("code", command)])))
    return join(parts)


def _cost(run: ReportedRun) -> dict[str, str]:
    if run.cost is None or run.shape is None:
        return {}
    found = {"input": f"{run.shape[0]} x {run.shape[1]}"}
    for name, part in run.cost.items():
        found[f"{name}, parameters (M)"] = f"{part.parameters / 1e6:.3f}"
        found[f"{name}, GFLOPs"] = f"{part.flops / 1e9:.3f}"
    return found


def _started(run: ReportedRun) -> dict[str, str]:
    """Of the newest training in the folder."""
    if not run.records:
        return {}
    newest = run.records[-1]
    machine = newest.get("machine")
    rows = {"started": newest.get("started"), "trainings": len(run.records)}
    rows |= machine if isinstance(machine, dict) else {}
    return {str(key): str(value) for key, value in rows.items()}
