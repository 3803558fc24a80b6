"""The hyperbolic tangent, which Triton lacks, as exact near zero as elsewhere."""

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    """By its series where 2 sigmoid(2 x) - 1 would cancel, with an error of about 1e-8 of it."""
    squared = x * x
    series = 1 + squared * (-1.0 / 3 + squared * (2.0 / 15 - squared * (17.0 / 315)))
    return tl.where(tl.abs(x) < 0.15, x * series, 2 * tl.sigmoid(2 * x) - 1)
