#!/usr/bin/env python
"""Install mmcv with its operations compiled for this machine: the third step of tools/install.sh.

With an NVIDIA GPU or FORCE_CUDA=1 they are compiled for the GPUs seen, or for
TORCH_CUDA_ARCH_LIST, by an nvcc of torch's own CUDA version; else for the CPU alone. The wheel is
kept, and what an interrupted build has compiled, in $FDAM_BUILD_CACHE (~/.cache/fdam_mm/mmcv).
MMCV_WITH_OPS=0 installs mmcv without operations, which needs no compiler.
"""

import argparse
import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from building.cuda_target import (
    Target,
    Unbuildable,
    check_architectures,
    choose_target,
    find_toolkit,
    pip_toolkit,
)

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip"]
# Of one core for a file, and for each architecture of a CUDA one: 79 and 59 files took 51 minutes.
SECONDS = {".cpp": 11, ".cu": 37}
MEMORY = 2 << 30  # bytes that one compiler takes at most


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example:\n  FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST='8.0;9.0' "
        "python tools/install_mmcv.py onedl-mmcv==2.3.6",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mmcv", help="the requirement, with its version")
    mmcv = parser.parse_args().mmcv
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if os.environ.get("MMCV_WITH_OPS") == "0":
            install_bare(mmcv)
        else:
            install(mmcv, choose_target())
    except Unbuildable as error:
        sys.exit(f"\ninstall: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; what is compiled is kept, and the next `make` goes on from there")


def install(mmcv: str, target: Target) -> None:
    """Install ``mmcv`` so that it serves ``target``, compiling it only where it must be."""
    print(f"  for {target.name}: {target.why}", flush=True)
    if serves(target):
        return
    folder = build_folder(mmcv, target)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second installation waits for the first one's wheel
        wheels = list(folder.glob("*.whl"))
        if not wheels and published(mmcv) and serves(target):
            return
        wheel = wheels[0] if wheels else build(mmcv, target, folder)
        install_wheel(wheel)
    if not serves(target):
        raise Unbuildable(f"mmcv from {wheel} does not pass the check; remove it and try again")


def install_bare(mmcv: str) -> None:
    """Install ``mmcv`` without operations, unless it is there: its setup.py compiles nothing where
    it finds no torch, and pip builds it where there is none."""
    print("  without its operations: segmentation and Mask DINO run, detectors do not", flush=True)
    subprocess.run([*PIP, "install", "--quiet", "--no-binary", "onedl-mmcv", mmcv], check=True)


def build_folder(mmcv: str, target: Target) -> Path:
    """Where the wheel for this Python, torch and target is kept, and built."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(os.environ.get("FDAM_BUILD_CACHE") or Path(cache) / "fdam_mm/mmcv")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"
    return root / f"{mmcv.replace('==', '-')}-torch-{torch.__version__}-{python}-{target.name}"


def serves(target: Target) -> bool:
    """Whether the mmcv that is installed passes the check of its operations."""
    command = [sys.executable, "-m", "fdam_mm.toolkits.operations"]
    if target.cuda:
        exact = [name.removesuffix("+PTX") for name in target.architectures]
        command += ["--cuda", target.cuda, "--architectures", *exact]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    said = done.stdout.strip() if done.returncode == 0 else done.stderr.strip()
    if said and "No module named 'mmcv'" not in said:
        print("\n".join(f"  {line}" for line in said.splitlines()[-6:]), flush=True)
    return done.returncode == 0


def published(mmcv: str) -> bool:
    """Install a ready wheel, from PIP_FIND_LINKS say, in place of what is there; False where pip
    finds none."""
    command = [*PIP, "install", "--quiet", "--only-binary", "onedl-mmcv"]
    for options in (["--force-reinstall", "--no-deps"], []):  # itself, then what it needs
        done = subprocess.run([*command, *options, mmcv], stderr=subprocess.DEVNULL)
        if done.returncode:
            return False
    return True


def install_wheel(wheel: Path) -> None:
    command = [*PIP, "install", "--quiet"]
    subprocess.run([*command, "--force-reinstall", "--no-deps", str(wheel)], check=True)
    subprocess.run([*command, str(wheel)], check=True)  # what it needs


def build(mmcv: str, target: Target, folder: Path) -> Path:
    """Compile ``mmcv`` in ``folder``, going on where an interrupted build ended; its wheel.

    Raises:
        Unbuildable: There is no compiler, no fitting nvcc, or a file does not compile.
    """
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        raise Unbuildable(
            f"no wheel of {mmcv} for this machine, and no C++ compiler to build it; Debian and "
            "Ubuntu:\n  apt-get install g++ python3-dev\n"
            "or set PIP_FIND_LINKS to a folder that holds its wheel, or MMCV_WITH_OPS=0 to go "
            "without operations: segmentation and Mask DINO need none"
        )
    env = build_environment(target)
    source = unpacked_source(mmcv, folder)
    announce(mmcv, target, source, env)
    log = folder / "build.log"
    done = compile_wheel(source, folder / "dist", env, log)
    wheels = list((folder / "dist").glob("*.whl"))
    if done or not wheels:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise Unbuildable(f"{tail}\nmmcv did not build; the whole log: {log}")
    kept = folder / wheels[0].name
    wheels[0].replace(kept)
    shutil.rmtree(source)
    print(f"  kept: {kept} ({kept.stat().st_size / 1e6:.1f} MB)")
    return kept


def build_environment(target: Target) -> dict[str, str]:
    """The environment in which mmcv's setup.py compiles for ``target`` and nothing else."""
    jobs = min(len(os.sched_getaffinity(0)), max(1, available_memory() // MEMORY))
    env = {"MAX_JOBS": str(jobs), "CFLAGS": "-O2 -g0", **os.environ, "MMCV_WITH_OPS": "1"}
    bins = [str(Path(sys.executable).parent)]  # of ninja
    if target.cuda is None:
        env |= {"FORCE_CUDA": "0", "CUDA_VISIBLE_DEVICES": ""}
    else:
        home = find_toolkit(target.cuda) or pip_toolkit(target.cuda)
        check_architectures(home, target)
        # torch brings the headers and libraries of cublas and others, which few toolkits lack
        # and pip's has only there.
        torchs = Path(torch.__file__).parents[1] / f"nvidia/cu{target.cuda.partition('.')[0]}"
        env |= {"FORCE_CUDA": "1", "CUDA_HOME": str(home)}
        env["TORCH_CUDA_ARCH_LIST"] = ";".join(target.architectures)
        prepend(env, "CPATH", torchs / "include")
        prepend(env, "LIBRARY_PATH", torchs / "lib")
        bins.insert(0, str(home / "bin"))
    for folder in reversed(bins):
        prepend(env, "PATH", folder)
    return env


def prepend(env: dict[str, str], name: str, folder: str | Path) -> None:
    env[name] = os.pathsep.join(filter(None, [str(folder), env.get(name)]))


def available_memory() -> int:
    """Bytes, as Linux tells them."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def unpacked_source(mmcv: str, folder: Path) -> Path:
    """mmcv's sources in ``folder``, with the objects that an earlier build left there."""
    source = folder / "source"
    if not source.is_dir():
        fetched, unpacked = folder / "fetched", folder / "unpacked"
        for old in (fetched, unpacked):
            shutil.rmtree(old, ignore_errors=True)
        command = [*PIP, "download", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--no-binary", "onedl-mmcv", "-d", fetched, mmcv], check=True)
        with tarfile.open(next(fetched.glob("*.tar.gz"))) as archive:
            archive.extractall(unpacked, filter="data")
        next(unpacked.iterdir()).rename(source)
        shutil.rmtree(fetched)
        unpacked.rmdir()
    return source


def sources(source: Path, target: Target) -> list[Path]:
    """The files that mmcv's setup.py compiles."""
    operations = source / "mmcv/ops/csrc/pytorch"
    files = [*operations.glob("*.cpp"), *operations.glob("cpu/*.cpp")]
    if target.cuda:
        files += [*operations.glob("cuda/*.cu"), *operations.glob("cuda/*.cpp")]
    return files


def announce(mmcv: str, target: Target, source: Path, env: dict[str, str]) -> None:
    """Say what will be compiled and how long it takes."""
    temporary = (source / "build").glob("temp*")
    done = {path.relative_to(build) for build in temporary for path in build.rglob("*.o")}
    every = sources(source, target)
    files = [path for path in every if path.relative_to(source).with_suffix(".o") not in done]
    weights = {".cpp": 1, ".cu": len(target.architectures)}
    work = sum(SECONDS[path.suffix] * weights[path.suffix] for path in files)
    jobs = int(env["MAX_JOBS"])
    before = len(every) - len(files)
    print(f"  compiling {len(files)} files of {mmcv} with {jobs} jobs, {before} done before")
    if target.cuda:
        print(f"  nvcc {target.cuda} of {env['CUDA_HOME']}")
    print(
        f"  about {max(1, round(work / jobs / 60))} minutes; it can be stopped and goes on later"
    )
    sys.stdout.flush()


def compile_wheel(source: Path, dist: Path, env: dict[str, str], log: Path) -> int:
    """Run mmcv's setup.py in ``source``, a line for every file compiled; its exit status."""
    command = [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", str(dist)]
    start = time.monotonic()
    with (
        log.open("w") as kept,
        subprocess.Popen(
            command,
            cwd=source,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as running,
    ):
        try:
            for line in _kept(running.stdout, kept):
                progress = file_of(line)
                if progress:
                    print(f"  {time.monotonic() - start:5.0f} s  {progress}", flush=True)
        except BaseException:  # the compilers too: ninja removes what they have half written
            os.killpg(running.pid, signal.SIGTERM)
            raise
    return running.returncode


def _kept(lines: Iterator[str], log) -> Iterator[str]:
    for line in lines:
        log.write(line)
        yield line


def file_of(line: str) -> str | None:
    """``12/138 nms_cuda.cu`` of a line of ``ninja -v``; None where it compiles no file."""
    found = re.match(r"\[(\d+)/(\d+)\] .* -c (?:-o \S+ )?'?(\S+?\.(?:cpp|cu))'?(?: |$)", line)
    return f"{found[1]}/{found[2]}  {Path(found[3]).name}" if found else None


if __name__ == "__main__":
    main()
