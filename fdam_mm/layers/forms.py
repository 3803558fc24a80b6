"""Which form of FreqScale is the fastest on a map: Fourier matrices or the FFT."""

from torch import Tensor

from .fused import is_exporting

# Of each measured kind of device: channels, and the largest mean side of a grid on which the
# matrices win with so many. Derived from benchmarks/results/forms_*.json by `fdam bench rule`.
LARGEST_SIDES: dict[str, dict[int, int]] = {
    "cpu": {32: 48, 64: 64, 160: 48, 384: 48},
    "cuda": {32: 0, 160: 0, 384: 0, 768: 0},  # an FFT is fewer launches; without the kernels
}


def use_matrices(x: Tensor) -> bool:
    """Whether Fourier matrices beat the FFT on maps (B, H, W, C).

    A device that nobody has measured is taken for a CPU. Exports have the matrices on every map:
    few runtimes have an FFT.
    """
    if is_exporting():
        return True
    height, width, channels = x.shape[1:]
    sides = LARGEST_SIDES.get(x.device.type, LARGEST_SIDES["cpu"])
    measured = max([min(sides), *[c for c in sides if c <= channels]])
    return height + width <= 2 * sides[measured]
