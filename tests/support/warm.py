"""Scripts in processes that begin with torch and the toolkits imported: forks of one server.

A fork is a process of its own, with its own folder, environment, output, random numbers, signals
and exit code, and saves the seconds of the imports. What a script imports itself it does not show:
one test per tool starts it afresh. CUDA does not survive a fork: scripts run on the CPU here.
"""

import atexit
import functools
import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

_ON_A_CPU = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


class Script:
    """A script that runs in a fork of this process's server; one at a time.

    Args:
        file: The script.
        arguments: Its arguments.
        cwd: The folder in which it begins.
        path: Another folder that it imports from.
        processes: How many run it, as torchrun would start them; None is one, by itself.
    """

    def __init__(
        self,
        file: Path,
        *arguments: object,
        cwd: Path,
        path: Path | None = None,
        processes: int | None = None,
    ) -> None:
        self.returncode: int | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._server = _server()
        request = dict(
            command=[str(file), *map(str, arguments)],
            cwd=str(cwd),
            path=[str(folder) for folder in (file.parent, path) if folder],
            environment={**os.environ, **_ON_A_CPU},
            ranks=_ranks(processes) if processes else [{}],
            output=self._folder.name,
        )
        self.pid = self._server.begin(self, request)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(self._server.read(timeout))
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; returns what it wrote to stdout and to stderr."""
        self.wait(timeout)
        return self.written(1), self.written(2)

    def written(self, stream: int) -> str:
        """What it has written to stdout (1) or stderr (2) so far."""
        file = Path(self._folder.name, str(stream))
        return file.read_text() if file.exists() else ""

    def kill(self) -> None:
        """Kill the process, the first of several; others of its process group live on."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _ranks(processes: int) -> list[dict[str, str]]:
    """The environment of each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
    sizes = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    numbers = map(str, range(processes))
    return [{"RANK": number, "LOCAL_RANK": number, **sizes, **where} for number in numbers]


class _Server:
    """The other process, and what it says."""

    def __init__(self) -> None:
        from support.paths import python_path  # which the server itself has not on its path

        self.process = subprocess.Popen(
            [sys.executable, __file__],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ON_A_CPU, "PYTHONPATH": python_path()},
            start_new_session=True,  # Ctrl-C is for the tests
        )
        self.last: Script | None = None

    def begin(self, script: Script, request: dict[str, Any]) -> int:
        if self.last is not None and self.last.returncode is None:  # its test failed
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.killpg(self.last.pid, signal.SIGKILL)
            self.last.wait()
        self.last = script
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        return self.read(None)

    def read(self, timeout: float | None) -> int:
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.process.args, timeout)
        return int(self.process.stdout.readline())


_server = functools.cache(_Server)


def serve() -> None:
    """Fork for each line of stdin; say the fork's number, and when it ends its status."""
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for what imports print
    sys.path.remove(str(Path(__file__).parent))
    with suppress(ImportError):  # `make check` has no toolkits
        _import_toolkits()
    gc.freeze()  # a fork that looked through all of it would copy it
    for line in iter(requests.readline, ""):
        request = json.loads(line)
        forks: list[int] = []
        for rank in request["ranks"]:
            if not (fork := os.fork()):
                requests.close()
                replies.close()
                _become(request, rank)
            forks.append(fork)
            os.setpgid(fork, forks[0])
        _reply(replies, forks[0])
        _reply(replies, next(filter(None, [os.waitpid(fork, 0)[1] for fork in forks]), 0))


def _import_toolkits() -> None:
    from mmengine.runner import runner

    import fdam_mm.apis
    import fdam_mm.openmmlab  # noqa: F401
    from fdam_mm.toolkits.registration import TOOLKITS, register_toolkit

    for toolkit in TOOLKITS:
        register_toolkit(toolkit)
    runner.collect_env = functools.cache(runner.collect_env)
    runner.collect_env()  # it asks compilers for their versions


def _reply(replies: IO[str], number: int) -> None:
    replies.write(f"{number}\n")
    replies.flush()


def _become(request: dict[str, Any], rank: dict[str, str]) -> NoReturn:
    """Run the script as ``python`` does."""
    import numpy

    for stream in (0, 1, 2):
        with Path(request["output"], str(stream)).open("a+") as file:
            os.dup2(file.fileno(), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"], **rank)
    random.seed()
    numpy.random.seed()
    sys.path[:0] = request["path"]
    sys.argv = request["command"]
    code: object = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = None
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    if not isinstance(code, int | None):
        sys.stderr.write(f"{code}\n")
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code or 0)  # without taking down, and so copying, all that was imported


if __name__ == "__main__":
    serve()
