"""A hub of models on this machine: the routes that huggingface_hub uses to fetch and to send.

Files are sent inside the commit, as the real hub asks for small ones: the large file storage (LFS,
Xet) is not imitated.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class FakeHub:
    """What is on it, and what was asked of it.

    Attributes:
        url: Its endpoint.
        commits: Files by name, by commit, by repository; in order.
        tags: Commits by name, by repository.
        gated: Repositories that want a token.
        asked: Method and path of every request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.asked: list[str] = []

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Add a commit with these files in the place of those of the same name."""
        commits = self.commits.setdefault(repo, {})
        before = commits[[*commits][-1]] if commits else {}
        commit = hashlib.sha1(repr((len(commits), sorted(files))).encode()).hexdigest()
        commits[commit] = {**before, **files}
        return commit

    def commit_of(self, repo: str, revision: str) -> str | None:
        commits = self.commits[repo]
        if revision == "main":
            return [*commits][-1] if commits else None
        revision = self.tags.get(repo, {}).get(revision, revision)
        return revision if revision in commits else None


@contextmanager
def serving() -> Iterator[FakeHub]:
    """A hub at 127.0.0.1, for as long as we are within."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._file()

    def do_GET(self) -> None:
        self._file()

    def do_POST(self) -> None:
        path = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else ""
            self.hub.commits.setdefault(repo or asked["name"], {})
            self._answer({"url": f"{self.hub.url}/{repo}"})
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").partition("/commit/")[0]
            lines = [json.loads(line) for line in body.splitlines() if line]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = self.hub.put(repo, files)
            url = f"{self.hub.url}/{repo}/commit/{commit}"
            self._answer({"success": True, "commitOid": commit, "commitUrl": url})
        else:
            self._refuse(404, "EntryNotFound")

    def _file(self) -> None:
        repo, _, rest = self._asked().strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repo not in self.hub.commits:
            return self._refuse(401, "RepoNotFound")
        if repo in self.hub.gated and "Authorization" not in self.headers:
            return self._refuse(401, "GatedRepo")
        commit = self.hub.commit_of(repo, unquote(revision))
        if commit is None:
            return self._refuse(404, "RevisionNotFound")
        content = self.hub.commits[repo][commit].get(name)
        if content is None:
            return self._refuse(404, "EntryNotFound")
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _asked(self) -> str:
        path = self.path.partition("?")[0]
        self.hub.asked.append(f"{self.command} {path}")
        return path

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
