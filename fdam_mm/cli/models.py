"""``fdam models``: the shipped configs."""

from collections.abc import Sequence

from fdam_mm.errors import UsageError

from .arguments import parser
from .errors import clear_errors


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and print a line for each model."""
    arguments = parser("List the shipped configs.", "COMMAND segformer\n  COMMAND 'fdam-*_coco*'")
    arguments.add_argument(
        "pattern", nargs="?", default="*", help="of names, families or data; * and ? (all)"
    )
    args = arguments.parse_args(argv)
    from fdam_mm.apis import list_models

    models = list_models(args.pattern)
    if not models:
        raise UsageError(f"no model matches {args.pattern!r}; `fdam models` lists all")
    width = max(len(model.name) for model in models)
    for model in models:
        figures = [
            f"{name} {value:g}"
            for found in model.reported
            for name, value in found.metrics.items()
        ]
        line = f"{model.name:<{width}}  {model.data:<10}  {', '.join(figures)}"
        print(line.rstrip())
    if any(model.reported for model in models):
        print("\nFigures are those that FDAM's authors report (arXiv 2507.12006), not ours.")
