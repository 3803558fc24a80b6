"""How mmcv's operations are compiled: for what, by which nvcc, and what is said meanwhile."""

import os
import sys
from pathlib import Path

import pytest
import torch
from support.tools import ROOT

sys.path.insert(0, str(ROOT / "tools"))


import install_mmcv
from building import cuda_target
from building.cuda_target import Target, Unbuildable, choose_target, find_toolkit


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_target, "_seen_capabilities", lambda: ())
    monkeypatch.setattr(torch.version, "cuda", "13.0")


def test_without_a_gpu_nothing_is_compiled_for_one(no_gpu: None) -> None:
    target = choose_target({})
    assert target.cuda is None and target.name == "cpu"


def test_forced_for_the_architectures_named(no_gpu: None) -> None:
    target = choose_target({"FORCE_CUDA": "1", "TORCH_CUDA_ARCH_LIST": "8.0; 9.0+PTX"})
    assert target.cuda == "13.0" and target.architectures == ("8.0", "9.0+PTX")
    assert target.name == "cu130-8.0-9.0+PTX"


def test_forced_for_all_that_torch_knows(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._C, "_cuda_getArchFlags", lambda: "sm_80 sm_120 compute_120")
    target = choose_target({"FORCE_CUDA": "1"})
    assert target.architectures == ("8.0", "12.0") and "TORCH_CUDA_ARCH_LIST" in target.why


def test_for_the_gpus_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_target, "_seen_capabilities", lambda: ("8.6",))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert choose_target({}).architectures == ("8.6",)
    assert choose_target({"FORCE_CUDA": "0"}).cuda is None


def test_torch_without_cuda(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(Unbuildable, match="compiled without CUDA"):
        choose_target({"FORCE_CUDA": "1"})


def test_a_driver_too_old_for_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    executable(tmp_path / "nvidia-smi", "echo '8.6, 470.1'; echo '12.0, 470.1'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda_target._seen_capabilities() == ("8.6", "12.0")
    assert "needs a newer one" in capsys.readouterr().out


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def toolkit(home: Path, release: str) -> Path:
    listed = "case $1 in --list-gpu-arch) echo compute_80; echo compute_90; exit;; esac"
    executable(home / "bin/nvcc", f"{listed}\necho 'Cuda tools, release {release}, V{release}.1'")
    (home / "include").mkdir()
    (home / "include/cuda_runtime.h").touch()
    return home


@pytest.fixture
def no_default_toolkits(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cuda_target._toolkit_homes
    monkeypatch.setattr(
        cuda_target,
        "_toolkit_homes",
        lambda *a: (home for home in kept(*a) if not str(home).startswith("/usr/local")),
    )


def test_a_toolkit_of_another_version_is_never_used(
    tmp_path: Path, no_default_toolkits: None, capsys: pytest.CaptureFixture
) -> None:
    old, fitting = toolkit(tmp_path / "old", "12.4"), toolkit(tmp_path / "new", "13.0")
    assert find_toolkit("13.0", {"CUDA_HOME": str(old), "PATH": ""}) is None
    assert "its nvcc is 12.4" in capsys.readouterr().out
    on_path = {"CUDA_HOME": str(old), "PATH": str(fitting / "bin")}
    assert find_toolkit("13.0", on_path) == fitting
    minor = toolkit(tmp_path / "minor", "13.1")
    assert find_toolkit("13.0", {"CUDA_HOME": str(minor), "PATH": ""}) is None


def test_nvcc_without_its_headers_is_no_toolkit(tmp_path: Path, no_default_toolkits: None) -> None:
    home = toolkit(tmp_path / "cuda", "13.0")
    (home / "include/cuda_runtime.h").unlink()
    assert find_toolkit("13.0", {"CUDA_HOME": str(home), "PATH": ""}) is None


@pytest.mark.parametrize("architecture", ["7.0", "sm_90", "9"])
def test_architectures_that_nvcc_does_not_know(tmp_path: Path, architecture: str) -> None:
    home = toolkit(tmp_path / "cuda", "13.0")
    cuda_target.check_architectures(home, Target("13.0", ("8.0", "9.0a", "9.0+PTX"), "test"))
    with pytest.raises(Unbuildable, match=f"{architecture}.*it does for 8.0, 9.0"):
        cuda_target.check_architectures(home, Target("13.0", (architecture,), "test"))


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unbuildable, match="no C\\+\\+ compiler(.|\n)*apt-get install g\\+\\+"):
        install_mmcv.build("onedl-mmcv==2.3.6", Target(None, (), ""), tmp_path)


def test_the_environment_of_a_cuda_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = toolkit(tmp_path / "cuda", "13.0")
    monkeypatch.setenv("CUDA_HOME", str(home))
    monkeypatch.setenv("MAX_JOBS", "3")
    env = install_mmcv.build_environment(Target("13.0", ("8.0", "9.0"), "test"))
    assert env["FORCE_CUDA"] == env["MMCV_WITH_OPS"] == "1" and env["MAX_JOBS"] == "3"
    assert env["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0"
    assert env["PATH"].startswith(f"{home}/bin:{Path(sys.executable).parent}:")
    assert "nvidia/cu13/include" in env["CPATH"] and "nvidia/cu13/lib" in env["LIBRARY_PATH"]


def test_the_environment_of_a_build_without_cuda() -> None:
    env = install_mmcv.build_environment(Target(None, (), ""))
    assert env["FORCE_CUDA"] == "0" and env["CUDA_VISIBLE_DEVICES"] == ""


def test_progress_by_file() -> None:
    cuda = "[12/138] /x/bin/nvcc --generate-dependencies -c -c /s/nms_cuda.cu -o /b/n.o -D__X__"
    assert install_mmcv.file_of(cuda) == "12/138  nms_cuda.cu"
    host = "[13/138] c++ -MMD -MF /b/nms.o.d -pthread -c -c /s/nms.cpp -o /b/nms.o -O2"
    assert install_mmcv.file_of(host) == "13/138  nms.cpp"
    assert install_mmcv.file_of("running build_ext") is None


def test_what_is_announced_counts_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    operations = tmp_path / "mmcv/ops/csrc/pytorch"
    for name in ("nms.cpp", "cpu/nms.cpp", "cuda/nms_cuda.cu", "cuda/bind.cpp"):
        (operations / name).parent.mkdir(parents=True, exist_ok=True)
        (operations / name).touch()
    built = tmp_path / "build/temp.linux/mmcv/ops/csrc/pytorch/cpu/nms.o"
    built.parent.mkdir(parents=True)
    built.touch()
    target = Target("13.0", ("8.0", "9.0"), "test")
    env = {"MAX_JOBS": "2", "CUDA_HOME": "/cuda"}
    install_mmcv.announce("onedl-mmcv==2.3.6", target, tmp_path, env)
    said = capsys.readouterr().out
    assert "compiling 3 files of onedl-mmcv==2.3.6 with 2 jobs, 1 done before" in said
    assert "nvcc 13.0 of /cuda" in said and "minutes" in said


def test_what_is_stopped_leaves_no_compiler_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = "import os, time; print(os.getpid(), '[1/2] c++ -c a.cpp -o a.o', flush=True)"
    (tmp_path / "setup.py").write_text(f"{started}; time.sleep(600)")
    pids: list[int] = []

    def stop(line: str) -> None:
        pids.append(int(line.split()[0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(install_mmcv, "file_of", stop)
    with pytest.raises(KeyboardInterrupt):
        install_mmcv.compile_wheel(tmp_path, tmp_path / "dist", {}, tmp_path / "log")
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_the_kept_wheel_is_of_one_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDAM_BUILD_CACHE", "/cache")
    one, other = (
        install_mmcv.build_folder("onedl-mmcv==2.3.6", Target("13.0", (a,), "test"))
        for a in ("8.0", "9.0")
    )
    assert one != other and one.parent == Path("/cache") and torch.__version__ in one.name
