"""HTML as texts; what comes from files is escaped here."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

Cell = str | float | int | None
"""Of a table: a text or number, to be escaped; :class:`Markup` as it is."""


class Markup(str):
    """A text that is HTML already."""


def element(tag: str, content: Cell = "", **attributes: str) -> Markup:
    """``<tag class="...">content</tag>``; ``class_`` stands for ``class``."""
    said = "".join(f' {k.rstrip("_")}="{escape(v)}"' for k, v in attributes.items())
    return Markup(f"<{tag}{said}>{text(content)}</{tag}>")


def text(content: Cell) -> Markup:
    """A cell's content: numbers with two decimals at most, nan and None as a dash."""
    if isinstance(content, Markup):
        return content
    if content is None or (isinstance(content, float) and np.isnan(content)):
        return Markup("&ndash;")
    if isinstance(content, float):
        return Markup(f"{content:.2f}")
    return Markup(escape(str(content)))


def join(parts: Iterable[str]) -> Markup:
    return Markup("".join(text(part) for part in parts))


def table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]], class_: str = "") -> Markup:
    """Rows whose first cell is their name."""
    names = join(element("th", cell) for cell in head)
    body = join(
        element("tr", join([element("th", row[0]), *(element("td", c) for c in row[1:])]))
        for row in rows
    )
    whole = join([element("thead", element("tr", names)), element("tbody", body)])
    return element("div", element("table", whole, class_=class_), class_="wide")


def picture(pixels: np.ndarray, title: str) -> Markup:
    """A figure of (h, w, 3) uint8 RGB, as JPEG inside the page."""
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    address = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
    image = f'<img src="{address}" alt="{escape(title)}" width="{pixels.shape[1]}">'
    return element("figure", join([Markup(image), element("figcaption", title)]))


def legend(names: Sequence[str], colours: Sequence[Sequence[int]]) -> Markup:
    """A line of coloured squares with names."""
    return element(
        "p",
        join(
            element("span", join([
                element("i", "", class_="swatch", style="background:rgb({},{},{})".format(*c)),
                element("span", name, class_="name"),
            ]), class_="entry")
            for name, c in zip(names, colours, strict=True)
        ),
        class_="legend",
    )  # fmt: skip


STYLE = """
:root { color-scheme: light; --line: #d8dee4; --soft: #57606a; --blue: #1f6feb; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1f2328;
  max-width: 1240px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 12px; padding-bottom: 6px;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 15px; margin: 20px 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0; } .soft { color: var(--soft); font-size: 13px; }
code { font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; background: #f6f8fa;
  padding: 2px 5px; border-radius: 5px; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 10px 16px; min-width: 120px; }
.tile b { display: block; font-size: 24px; line-height: 1.25; }
.tile span { color: var(--soft); font-size: 13px; }
.charts, .panels { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
.charts > * { flex: 1 1 380px; max-width: 600px; } svg { width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child { text-align: left; } tbody th { font-weight: 500; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
td.worse { color: #b35900; } td.better { color: #1a7f37; }
table.words td { text-align: left; overflow-wrap: anywhere; }
table.matrix { font-size: 12px; } table.matrix td { padding: 3px 6px; min-width: 40px;
  text-align: center; border: 1px solid #fff; } table.matrix th { padding: 3px 6px; }
table.matrix thead th { text-align: center; max-width: 110px; overflow-wrap: break-word; }
figure { margin: 0; flex: 1 1 280px; max-width: 400px; }
img { width: 100%; height: auto; border-radius: 6px; display: block; }
figcaption { color: var(--soft); font-size: 12.5px; margin-top: 3px; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
  margin-right: 5px; vertical-align: -1px; border: 1px solid #0002; }
.entry { display: inline-block; margin-right: 14px; } .name { font-size: 13px; }
"""


def page(title: str, body: str, script: str = "") -> str:
    """A whole page, which may load nothing, and run nothing but ``script``."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        body += f"<script>{script}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
