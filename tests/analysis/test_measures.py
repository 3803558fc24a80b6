"""Every measure against a case whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

from fdam_mm.analysis.gains import band_gains, gate_maps
from fdam_mm.analysis.responses import (
    Rows,
    attention_rows,
    frequency_response,
    inverted_rows,
)
from fdam_mm.analysis.rings import rings
from fdam_mm.analysis.spectra import high_frequency_ratio, radial_log_amplitude
from fdam_mm.analysis.tokens import effective_rank, token_similarity
from fdam_mm.layers import AttInv, FreqScale

EULER = 0.5772156649


def wave(height: int, width: int, turns_down: float, turns_right: float) -> Tensor:
    """A cosine of so many turns over the map, (1, 1, H, W)."""
    rows, columns = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    return torch.cos(2 * math.pi * (turns_down * rows + turns_right * columns))[None, None]


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("hw", [(8, 8), (9, 13), (1, 6), (14, 5)])
def test_rings_are_means_over_the_whole_spectrum(hw: tuple[int, int]) -> None:
    field = noise(*hw)
    whole = torch.fft.fft2(field).abs()
    length = 2 * torch.hypot(torch.fft.fftfreq(hw[0])[:, None], torch.fft.fftfreq(hw[1])[None])
    found = rings(*hw, 4)
    means = found.mean(torch.fft.rfft2(field).abs())
    for frequency, mean in zip(found.frequencies, means, strict=True):
        ring = (length * 3).round() == (frequency * 3).round()
        torch.testing.assert_close(mean, whole[ring].mean())


def test_the_spectrum_of_noise_is_flat() -> None:
    """|F|² of noise is exponential: the mean of |F| is sqrt(pi) / 2 at complex frequencies."""
    frequencies, profile = radial_log_amplitude(3 * noise(64, 8, 32, 32))
    assert len(frequencies) == 17 and frequencies[0] == 0 and frequencies[-1] == 1
    torch.testing.assert_close(
        profile[1:], torch.full((16,), math.log(3 * math.sqrt(math.pi) / 2)), atol=0.03, rtol=0
    )


def test_a_wave_is_in_its_ring_alone() -> None:
    frequencies, profile = radial_log_amplitude(wave(16, 16, 0, 4))
    assert frequencies[profile.argmax()] == 0.5
    assert profile.sort().values[-2] < profile.max() - 10


def test_the_share_of_high_frequencies() -> None:
    assert high_frequency_ratio(torch.ones(2, 3, 8, 8)).tolist() == [0, 0]
    assert high_frequency_ratio(torch.zeros(1, 3, 8, 8)).tolist() == [0]
    torch.testing.assert_close(high_frequency_ratio(wave(16, 12, 6, 0)), torch.ones(1))
    torch.testing.assert_close(high_frequency_ratio(wave(16, 12, 2, 0)), torch.zeros(1))
    two = wave(16, 16, 2, 0) + 2 * wave(16, 16, 0, 7)
    torch.testing.assert_close(high_frequency_ratio(two), torch.tensor([0.8]))
    # Of 32 frequencies a side 17 are at most a quarter of a turn
    of_noise = high_frequency_ratio(noise(4, 32, 32, 32))
    torch.testing.assert_close(of_noise, torch.full((4,), 1 - (17 / 32) ** 2), atol=0.02, rtol=0)
    without_mean = noise(1, 4, 9, 7)
    without_mean = without_mean - without_mean.mean((-2, -1), keepdim=True)
    torch.testing.assert_close(high_frequency_ratio(without_mean, 0), torch.ones(1))
    with pytest.raises(ValueError, match="cutoff 0.5"):
        high_frequency_ratio(without_mean, 0.5)


def test_tokens_that_are_alike() -> None:
    one = noise(1, 1, 6)
    alike = one * torch.rand(2, 10, 1).add(0.5)  # of rank 1
    torch.testing.assert_close(token_similarity(alike), torch.ones(2))
    torch.testing.assert_close(effective_rank(alike), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(token_similarity(torch.eye(6)[None]), torch.zeros(1))
    torch.testing.assert_close(effective_rank(torch.eye(6)[None]), torch.tensor([6.0]))
    opposite = torch.cat([one, -one], 1)
    torch.testing.assert_close(token_similarity(opposite), -torch.ones(1))
    assert effective_rank(torch.zeros(1, 4, 3)).tolist() == [1]
    tokens = noise(2, 7, 5)
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    pairs = (unit @ unit.mT).triu(1).sum((1, 2)) / 21
    torch.testing.assert_close(token_similarity(tokens), pairs)
    with pytest.raises(ValueError, match="1 tokens"):
        token_similarity(one)


@pytest.mark.parametrize("prefix", [0, 2])
def test_responses_of_identity_and_of_uniform_attention(prefix: int) -> None:
    num = prefix + 6 * 4
    identity = torch.eye(num).expand(2, 3, num, num)
    response = frequency_response([Rows(0, identity)], (6, 4), prefix)
    torch.testing.assert_close(response.mean, torch.full((3,), math.log(2)))
    torch.testing.assert_close(response.deviation, torch.zeros(3), atol=1e-6, rtol=0)
    uniform = torch.full((1, 1, num, num), 1 / num)
    response = frequency_response([Rows(0, uniform)], (6, 4), prefix)
    at_zero = math.log1p(24 / num)
    torch.testing.assert_close(response.mean, torch.tensor([at_zero, 0, 0]), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="do not fit a grid of 5 x 4"):
        frequency_response([Rows(0, uniform)], (5, 4), prefix)
    with pytest.raises(ValueError, match="no rows"):
        frequency_response([], (6, 4), prefix)


def test_rows_in_parts_are_softmax_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, bias = noise(2, 4, 12, 8), noise(2, 2, 12, 8), noise(1, 4, 12, 12)
    monkeypatch.setattr("fdam_mm.analysis.responses._NUMBERS", 2 * 4 * 12 * 5)
    rows = list(attention_rows(query, key, 0.3, bias))
    assert [row.first for row in rows] == [0, 5, 10]
    whole = (query @ key.repeat_interleave(2, 1).mT * 0.3 + bias).softmax(-1)
    torch.testing.assert_close(torch.cat([row.weights for row in rows], -2), whole)
    parts = frequency_response(rows, (2, 5), 2)
    torch.testing.assert_close(parts.mean, frequency_response([Rows(0, whole)], (2, 5), 2).mean)
    masked = attention_rows(query, key, bias=torch.eye(12, dtype=torch.bool)[None, None])
    assert torch.cat([row.weights for row in masked], -2).equal(torch.eye(12).expand(2, 4, 12, 12))


def test_inverted_rows_are_what_the_layer_computes() -> None:
    """γ are the same within a head, so that the mean over its channels is exact."""
    layer = AttInv(8, 2)
    x, v, rows = noise(3, 6, 8), noise(3, 6, 8), noise(3, 2, 6, 6).softmax(-1)
    with torch.no_grad():
        layer.low_gamma.copy_(torch.tensor([0.7, -0.4]).repeat_interleave(4))
        layer.high_gamma.copy_(torch.tensor([0.9, 0.3]).repeat_interleave(4))
        values = v.unflatten(-1, (2, 4)).transpose(1, 2)
        y = (rows @ values).transpose(1, 2).flatten(2)
        parts = [Rows(0, rows[..., :4, :]), Rows(4, rows[..., 4:, :])]
        mixed = torch.cat([row.weights for row in inverted_rows(parts, layer, x)], -2)
        expected = layer(x, v, y)
    torch.testing.assert_close((mixed @ values).transpose(1, 2).flatten(2), expected)
    plain = AttInv(8, 2, low=False, high=False)
    torch.testing.assert_close(next(inverted_rows(parts[:1], plain, x)).weights, rows[..., :4, :])


def test_gates_lie_on_the_picture() -> None:
    layer, x = AttInv(8, 2, low=False), noise(1, 1 + 6, 8)
    low, high = gate_maps(layer, x, (2, 3), 1)
    assert low is None and high is not None and high.shape == (1, 2, 2, 3)
    gate = layer.gates(x)[1]
    assert gate is not None
    torch.testing.assert_close(high[0, 1, 1, 2], gate[0, -1, 1])


@pytest.mark.parametrize("hw", [(8, 8), (7, 5), (6, 9)])
def test_gains_are_those_of_a_wave(hw: tuple[int, int]) -> None:
    """The gain of one frequency is what the layer makes of it, whatever the others get."""
    layer = FreqScale(4, groups=2, num_filters=1, filter_size=6, mlp_ratio=1)
    with torch.no_grad():
        layer.bases.copy_(noise(1, 2, 6, 4))
        layer.reweight[0].weight.fill_(0.2)
        layer.reweight[2].weight.copy_(torch.tensor([[0.1], [-0.2]]).expand(2, 4))
    x = noise(1, 4, *hw) + torch.arange(4.0)[:, None, None]
    frequencies, gains = band_gains(layer, x)
    assert gains.shape == (1, 2, len(frequencies)) and (gains - 1).abs().max() > 0.01
    before, after = (torch.fft.fft2(t) for t in (x, layer(x).detach()))
    whole = (after / before).abs()
    length = 2 * torch.hypot(torch.fft.fftfreq(hw[0])[:, None], torch.fft.fftfreq(hw[1])[None])
    steps = min(hw) // 2
    for index, frequency in enumerate(frequencies):
        ring = (length * steps).round() == (frequency * steps).round()
        mean = whole[0, :, ring].mean(-1).view(2, 2).mean(1)
        torch.testing.assert_close(gains[0, :, index], mean, atol=1e-4, rtol=1e-4)
