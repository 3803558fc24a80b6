"""The page of all error messages, read from the places that raise them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The first folder that fits is where a message is met.
PLACES = {
    "cli": "Arguments of commands",
    "training": "Configs and trainings",
    "models": "Backbones and heads in a config",
    "data/own": "Own data",
    "starting": "fdam new",
    "data/prepare": "Preparing ADE20K, COCO, DOTA",
    "data/check": "Checking data",
    "data/show": "Showing data",
    "data": "Pictures and labels",
    "checkpoints": "Checkpoints",
    "apis": "Loading and predicting",
    "test_time": "Test-time augmentation",
    "oriented": "Rotated boxes",
    "report": "Reports",
    "inject": "apply_fdam",
    "analysis": "Analysis",
    "export": "Export",
    "runtime": "Runtime without torch",
    "benchmarking": "fdam bench",
    "toolkits": "OpenMMLab",
    "": "Files",
}
HEAD = """# All error messages

Read from the code when this page is built; "…" stands for what differs. A few that are put
together elsewhere are missing. What to do about the frequent ones:
[troubleshooting](troubleshooting.md). The kinds: [fdam_mm.errors](api/errors.md).
"""


def messages_page(package: Path = ROOT / "fdam_mm") -> str:
    """The page as Markdown, by what the user was doing."""
    found: dict[str, list[str]] = {title: [] for title in PLACES.values()}
    for file, kind, text in raised(package):
        folder = file.relative_to(package).parent.as_posix()
        place = next(p for p in PLACES if not p or f"{folder}/".startswith(f"{p}/"))
        found[PLACES[place]].append(f"- `{text}` ({kind})")
    parts = [HEAD]
    for title, lines in found.items():
        parts.append("\n".join([f"## {title}", "", *dict.fromkeys(lines)]))
    return "\n\n".join(parts) + "\n"


def raised(package: Path) -> Iterator[tuple[Path, str, str]]:
    """File, kind and text of every message that a call of an error's class spells out."""
    kinds = _kinds(package / "errors.py")
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            text = re.sub(r"\s+", " ", _text(node.args[0])).replace("`", "'").strip()
            if node.func.id in kinds and re.search(r"\w{3}", text):
                yield file, node.func.id, text


def _kinds(errors: Path) -> set[str]:
    classes = (n for n in ast.parse(errors.read_text()).body if isinstance(n, ast.ClassDef))
    return {"Unsupported", *(each.name for each in classes)}


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"
