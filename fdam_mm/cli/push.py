"""``fdam push``: a published model to Hugging Face's hub."""

from collections.abc import Sequence

from .arguments import parser
from .errors import clear_errors

_DESCRIPTION = """Send the folder of a published model to Hugging Face's hub, into a repository
that is made if there is none. The token is that of `hf auth login` or HF_TOKEN."""
_EXAMPLE = """COMMAND work_dirs/nuts/published ME/nuts --private"""


@clear_errors
def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, send and say under which address."""
    arguments = parser(_DESCRIPTION, _EXAMPLE)
    arguments.add_argument("folder", help="that `fdam publish` wrote")
    arguments.add_argument("repo", help="USER/MODEL")
    arguments.add_argument("--private", action="store_true", help="if it is made, not public")
    arguments.add_argument("--message", help="of the commit; default the model's name")
    args = arguments.parse_args(argv)
    from fdam_mm.apis import push_to_hub

    print(push_to_hub(args.folder, args.repo, private=args.private, message=args.message))
