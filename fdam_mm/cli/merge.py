"""``fdam merge``: one checkpoint of what a fine-tuning trained and its base."""

from collections.abc import Sequence

from .arguments import add_config_arguments, parser
from .errors import clear_errors

_DESCRIPTION = "Write the delta of a fine-tuning and its base as one checkpoint for every tool."
_EXAMPLE = """COMMAND CONFIG.py work_dirs/my/delta.safetensors --base base.pth --out tuned.pth"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, load both and write."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    add_config_arguments(arguments)
    arguments.add_argument("delta", help="delta.safetensors of the fine-tuning's work folder")
    arguments.add_argument(
        "--base", help="the checkpoint it started from; default the config's load_from or init_cfg"
    )
    arguments.add_argument("--out", required=True, help="file.pth, or file.safetensors")
    arguments.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also read a base that needs unpickling, which can run any code it holds",
    )
    args = arguments.parse_args(argv)
    from fdam_mm.apis import merge_delta

    merge_delta(
        args.config, args.delta, args.out, args.base,
        options=args.cfg_options, allow_pickle=args.allow_pickle,
    )  # fmt: skip
    print(args.out)
