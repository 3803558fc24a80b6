"""Which classes of the toolkits fetch something by themselves when they are built or run."""

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from fdam_mm.toolkits.registration import TOOLKITS

# Names in their code: transformers', nltk's, torch's, huggingface_hub's and urllib's.
_FETCHERS = frozenset({
    "from_pretrained", "nltk", "load_url", "load_state_dict_from_url", "download_url_to_file",
    "hf_hub_download", "snapshot_download", "urlopen", "urlretrieve",
})  # fmt: skip


def fetcher_of(kind: Any) -> str | None:
    """What of ``_FETCHERS`` the code of a class or function calls, None where it calls none.

    Its bases, and the functions and classes that it names, are looked at as far as they are the
    toolkits'. Objects that a setting names are other types of the config.
    """
    waiting, seen = [kind], set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        for function in _functions(thing):
            names = {name for code in _codes(function.__code__) for name in code.co_names}
            if found := sorted(names & _FETCHERS):
                return found[0]
            waiting += [n for n in _named(function.__globals__, names) if _of_toolkits(n)]
    return None


def _functions(thing: Any) -> Iterator[FunctionType]:
    """A function itself; of a class its methods and those of its bases."""
    members = [thing]
    if isinstance(thing, type):
        members = [m for base in thing.__mro__ if _of_toolkits(base) for m in vars(base).values()]
    for member in members:
        member = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if isinstance(found := inspect.unwrap(member), FunctionType):
            yield found


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's, and those of the functions inside it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _codes(value)


def _named(known: dict[str, Any], names: set[str]) -> list[Any]:
    """What ``names`` stand for in a module, and in the modules that it imported."""
    found = [known[name] for name in names if name in known]
    for module in [each for each in found if isinstance(each, ModuleType)]:
        found += [vars(module)[name] for name in names if name in vars(module)]
    return found


def _of_toolkits(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] in TOOLKITS
