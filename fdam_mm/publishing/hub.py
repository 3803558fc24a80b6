"""Published models on Hugging Face's hub: fetching one that was asked for, and sending one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from fdam_mm.errors import HubError, MissingFileError, UsageError
from fdam_mm.toolkits.optional import require
from fdam_mm.version import __version__

from .description import CARD, NAME, open_published, read_description

SCHEME = "hf://"
_WORD = r"\w[\w.-]*"
_REPO = f"{_WORD}/{_WORD}"
_ADDRESS = re.compile(f"hf://({_REPO})(?:@({_WORD}(?:/{_WORD})*))?")


def fetch(address: str) -> Path:
    """The folder, in the hub's cache, of a published model.

    Only ``config.json`` and the one file of weights that it names are fetched, both of one
    commit, which the log names. ``HF_HUB_OFFLINE=1`` takes what the cache has.

    Args:
        address: ``hf://USER/MODEL``, or ``hf://USER/MODEL@REVISION``: a branch, tag or commit.

    Raises:
        UsageError: It is no such address.
        HubError: It cannot be fetched; says why.
        ConfigError: It is no published model.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(
            f"{address} is no address of a model; expected hf://USER/MODEL[@REVISION]"
        )
    repo, revision = found.groups()
    hub = _hub()
    with _hub_errors(address, repo, revision):
        description = Path(_download(hub, repo, NAME, revision))
        commit = description.parent.name
        published = read_description(description)
        _download(hub, repo, published.weights, commit)
    print_log(f"{address} is {published.weights} of commit {commit}", "current")
    return description.parent


def push_to_hub(
    folder: str | Path, repo: str, *, private: bool = False, message: str | None = None
) -> str:
    """Send a published model to the hub, into a repository that is made if there is none.

    The token is that of ``hf auth login`` or of ``HF_TOKEN``.

    Args:
        folder: Of :func:`fdam_mm.apis.publish`.
        repo: ``USER/MODEL``.
        private: A repository that is made is not public.
        message: Of the commit.

    Returns:
        The address of what was sent, with its commit: ``hf://USER/MODEL@COMMIT``.

    Raises:
        UsageError: ``repo`` is no such name.
        MissingFileError, ConfigError, CheckpointError: The folder is no published model.
        HubError: It cannot be sent; says why.
    """
    repo = repo.removeprefix(SCHEME)
    if not re.fullmatch(_REPO, repo):
        raise UsageError(f"the repository is {repo!r}, expected USER/MODEL")
    published, _, _ = open_published(folder)
    if not (Path(folder) / CARD).is_file():
        raise MissingFileError(f"{Path(folder) / CARD} does not exist; publish the model again")
    hub = _hub()
    with _hub_errors(f"{folder} to {repo}", repo, None):
        api = hub.HfApi(library_name="fdam_mm", library_version=__version__)
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo, folder_path=str(folder), commit_message=message or f"{published.name}",
            allow_patterns=[NAME, CARD, published.weights],
        )  # fmt: skip
    return f"{SCHEME}{repo}@{commit.oid}"


def _download(hub: Any, repo: str, file: str, revision: str | None) -> str:
    return hub.hf_hub_download(
        repo, file, revision=revision, library_name="fdam_mm", library_version=__version__
    )


def _hub() -> Any:
    return require("huggingface_hub", "a model of a hub", "fdam_mm[hub]")


@contextmanager
def _hub_errors(what: str, repo: str, revision: str | None) -> Iterator[None]:
    """Raises HubError for what the hub, or the way to it, answers."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        reason = f"{repo} is gated: accept its terms on the hub, then `hf auth login` or HF_TOKEN"
        raise HubError(f"{what}: {reason}") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{what}: {repo} has no branch, tag or commit {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        reason = f"there is no {repo}, or it is private and wants `hf auth login` or HF_TOKEN"
        raise HubError(f"{what}: {reason}") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{what}: {_unreached(error)}") from error
    except errors.EntryNotFoundError as error:
        reason = f"{repo} lacks {NAME} or its weights: no model that `fdam publish` wrote"
        raise HubError(f"{what}: {reason}") from error
    except errors.HFValidationError as error:
        raise UsageError(f"{what}: {error}") from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"{what}: no token; `hf auth login`, or set HF_TOKEN") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            reason = "the hub wants a token that may do this: `hf auth login`, or set HF_TOKEN"
        else:
            reason = f"the hub answered {' '.join(str(error).split())}"
        raise HubError(f"{what}: {reason}") from error
    except Exception as error:
        if not isinstance(error, _of_the_network()):
            raise
        raise HubError(f"{what}: the hub cannot be reached ({error})") from error


def _unreached(error: Exception) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "it is not in the cache, and HF_HUB_OFFLINE=1 allows no look at the hub"
    cause = error.__cause__
    reason = " ".join(str(cause if cause is not None else error).split())
    return f"it is not in the cache, and the hub cannot be reached ({reason})"


def _of_the_network() -> tuple[type[Exception], ...]:
    """What no connection raises in the packages that huggingface_hub's versions go through."""
    import importlib

    found: list[type[Exception]] = [ConnectionError, TimeoutError]
    for package, name in (
        ("httpx2", "TransportError"),
        ("httpx", "TransportError"),
        ("requests", "ConnectionError"),
        ("requests", "Timeout"),
    ):
        try:
            found.append(getattr(importlib.import_module(package), name))
        except (ImportError, AttributeError):
            continue
    return tuple(found)
