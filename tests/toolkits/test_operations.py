"""The check of mmcv's compiled operations passes here, and fails on what is broken."""

import pytest
import torch

from fdam_mm.toolkits import operations


def test_the_operations_installed_work() -> None:
    assert operations.faults(None) == []


def test_wrong_results_and_missing_operations_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import mmcv.ops

    def missing(*args: object) -> None:
        raise RuntimeError("nms_rotated is not compiled with GPU support\nmore")

    monkeypatch.setattr(mmcv.ops, "nms_rotated", missing)
    monkeypatch.setattr(mmcv.ops, "box_iou_rotated", lambda a, b: torch.zeros(2, 2))
    assert operations.faults(None) == [
        "rotated NMS on cpu: RuntimeError: nms_rotated is not compiled with GPU support",
        "rotated IoU on cpu: wrong result",
    ]


def test_cuda_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "compiled_for", lambda: "12.4")
    assert operations.faults("13.0") == ["mmcv was compiled for CUDA: 12.4; torch's is 13.0"]


def test_cuda_without_its_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    library = tmp_path / "_ext.so"
    library.write_bytes(
        b"_Z31ms_deformable_im2col_gpu_kernelIf _Z23nms_rotated_cuda_kernelif "
        b"_Z39riroi_align_rotated_forward_cuda_kernelIf"
    )
    monkeypatch.setattr(operations, "compiled_for", lambda: "13.0")
    monkeypatch.setattr(operations, "library", lambda: library)
    monkeypatch.setattr(operations, "architectures", lambda: {"8.0"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert operations.faults("13.0", ["8.0", "9.0"]) == [
        "no kernel box_iou_rotated_cuda_kernel in mmcv's library",
        "no kernel roi_align_rotated_forward_cuda_kernel in mmcv's library",
        "mmcv's library has no code for compute capability 9.0",
    ]


@pytest.mark.gpu
def test_on_the_gpu() -> None:
    assert operations.faults(torch.version.cuda) == []
