"""One model, several calls at a time: what belongs to a call stays with it."""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fdam_mm import apply_fdam
from fdam_mm.errors import ForwardError

timm = pytest.importorskip("timm")
from support.timm_models import CASES, Case, let_everything_count  # noqa: E402

_THREADS, _ROUNDS = 4, 3


def _model(case: Case) -> nn.Module:
    model = case.build().eval()
    apply_fdam(model, **{"freq_scale": dict(mlp_ratio=1.0), **case.apply})
    let_everything_count(model)
    return model


def _images(case: Case) -> list[Tensor]:
    """One for each thread; of other sizes and transposed where the model takes them."""
    sizes = [case.size] * _THREADS
    if case.odd_size is not None:
        sizes = [case.odd_size, case.odd_size[::-1], case.size, case.odd_size]
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(1, 3, *size, generator=generator) for size in sizes]


def _at_once(jobs: list[Callable[[], Tensor]]) -> list[Tensor]:
    """Results of ``jobs``, each in a thread of its own, all started together."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], Tensor]) -> Tensor:
        barrier.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_threads_share_a_model(case: Case) -> None:
    """The same numbers, bit for bit, from four threads at once as from one."""
    model, images = _model(case), _images(case)

    def rounds(image: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.stack([model(image) for _ in range(_ROUNDS)])

    with torch.inference_mode():
        expected = [model(image) for image in images]
    results = _at_once([lambda image=image: rounds(image) for image in images])
    for result, right in zip(results, expected, strict=True):
        assert all(torch.equal(one, right) for one in result)


@pytest.mark.parametrize("name", ["vit", "swin", "pvt_v2", "davit", "beit", "hiera"])
def test_threads_train_a_model(name: str) -> None:
    """Gradients of the input, with activation checkpointing."""
    case = CASES[name]
    model, images = _model(case), _images(case)
    model.requires_grad_(False)  # shared gradients would add up
    model.set_grad_checkpointing()

    def gradient(image: Tensor) -> Tensor:
        image = image.clone().requires_grad_()
        model(image).square().sum().backward()
        return image.grad

    expected = [gradient(image) for image in images]
    results = _at_once([lambda image=image: gradient(image) for image in images])
    assert all(map(torch.equal, results, expected))


def test_replicas_in_threads() -> None:
    """What nn.DataParallel does, less the GPUs: shallow copies, each with its own tensors."""
    model = _model(CASES["vit"])
    images = _images(CASES["vit"])
    replicas = [_replica(model, factor) for factor in (0.5, 1.0, 2.0, 4.0)]
    with torch.no_grad():
        expected = [copy.deepcopy(_scaled(model, f))(images[0]) for f in (0.5, 1.0, 2.0, 4.0)]
    with torch.no_grad():
        results = _at_once([lambda r=r: r(images[0]).detach() for r in replicas])
    assert all(map(torch.equal, results, expected))


def _scaled(model: nn.Module, factor: float) -> nn.Module:
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(factor if name.endswith(("gamma", "bases")) else 1.0)
    return model


def _replica(model: nn.Module, factor: float) -> nn.Module:
    scaled = dict(_scaled(model, factor).named_modules())
    copies = {m: m._replicate_for_data_parallel() for m in model.modules()}
    for name, module in model.named_modules():
        for child_name, child in module._modules.items():
            copies[module]._modules[child_name] = None if child is None else copies[child]
        copies[module]._parameters = dict(scaled[name]._parameters)
    return copies[model]


def _vit() -> nn.Module:
    model = _model(CASES["vit"])
    model.requires_grad_(False)
    return model


def _gradient(out: Tensor, image: Tensor) -> Tensor:
    return torch.autograd.grad(out.square().sum(), image)[0]


_LANDSCAPE, _PORTRAIT = (32, 80), (80, 32)  # 2 x 5 and 5 x 2 tokens


def _pair() -> tuple[Tensor, Tensor]:
    return tuple(torch.randn(1, 3, *s, requires_grad=True) for s in (_LANDSCAPE, _PORTRAIT))


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("segment", [1, 2])
def test_blocks_run_again_after_another_forward(
    reentrant: bool, in_thread: bool, segment: int
) -> None:
    """As many tokens on another grid, a backward pass in a thread that has seen no forward."""
    model = _vit()
    images = _pair()
    expected = [_gradient(model(image), image) for image in images]
    blocks = model.blocks
    pieces = [blocks[i : i + segment] for i in range(0, len(blocks), segment)]
    model.blocks = nn.Sequential(*(_Checkpointed(piece, reentrant) for piece in pieces))
    outs = [model(image) for image in images]
    jobs = [lambda i=i: _backward(outs[i], images[i]) for i in (0, 1)]
    results = _at_once(jobs) if in_thread else [job() for job in jobs]
    for result, right in zip(results, expected, strict=True):
        torch.testing.assert_close(result, right)


def _backward(out: Tensor, image: Tensor) -> Tensor:
    """Reentrant checkpointing serves backward() alone."""
    out.square().sum().backward()
    return image.grad


class _Checkpointed(nn.Module):
    def __init__(self, blocks: nn.Module, reentrant: bool) -> None:
        super().__init__()
        self.blocks, self.reentrant = blocks, reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.blocks, x, use_reentrant=self.reentrant)


def test_one_backward_of_two_forwards() -> None:
    model, images = _vit(), _pair()
    expected = [_gradient(model(image), image) for image in images]
    model.set_grad_checkpointing()
    sum(model(image).square().sum() for image in images).backward()
    for image, right in zip(images, expected, strict=True):
        torch.testing.assert_close(image.grad, right)


def test_kept_inputs_that_were_moved() -> None:
    """Where what was kept is another tensor: the only grid of its size, or a clear error."""
    model, (image, portrait) = _vit(), _pair()
    expected = _gradient(model(image), image)
    model.set_grad_checkpointing()
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda x: x.clone()):
        out = model(image)
        torch.testing.assert_close(_gradient(out, image), expected)
        out = model(image)
        model(portrait)
        with pytest.raises(ForwardError, match=r"10 tokens may be of the grids \[\(2, 5\), \(5,"):
            _gradient(out, image)


def test_a_thread_that_runs_blocks_alone() -> None:
    model = _vit()
    with torch.no_grad():
        tokens = torch.randn(1, 1 + 10, 48)
        with pytest.raises(ForwardError, match="fit no grid"):
            model.blocks(tokens)
        model(_pair()[0])
        expected = model.blocks(tokens)
        assert torch.equal(_at_once([lambda: model.blocks(tokens)])[0], expected)
        model(_pair()[1])
        with pytest.raises(ForwardError, match="may be of the grids"):
            _at_once([lambda: model.blocks(tokens.clone())])


def test_a_call_within_its_own_call() -> None:
    """An attention that calls itself between its values and its projection, once in vain."""
    model = CASES["vit"].build().eval()
    apply_fdam(model, freq_scale=False)
    let_everything_count(model)
    attn, x, y = model.blocks[0].attn, torch.randn(1, 7, 48), torch.randn(1, 7, 48)
    v = F.linear(x, attn.qkv.weight, attn.qkv.bias)[..., -48:]
    expected = F.linear(attn.att_inv(x, v, y), attn.proj.weight, attn.proj.bias)
    forward, calls = attn.forward, []

    def forward_again(x: Tensor) -> Tensor:
        calls.append(x)
        if len(calls) == 2:
            return forward(x)
        values = attn.qkv(x)
        if len(calls) == 3:
            return values
        attn(x + 1)
        attn(x - 1)
        return attn.proj(attn.norm(y))

    attn.forward = forward_again
    torch.testing.assert_close(attn(x), expected)


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_call_is_forgotten(stop: type[BaseException]) -> None:
    """Nothing of it acts later; the next call, or the model's end, frees what it kept."""
    model, image = _vit(), _pair()[0].detach()
    expected, kept = model(image), []

    def interrupt(module: nn.Module, args: tuple, output: Tensor) -> None:
        kept.append(weakref.ref(output))
        raise stop

    handle = model.blocks[1].attn.attn_drop.register_forward_hook(interrupt)
    proj = model.blocks[1].attn.q_norm.register_forward_hook(interrupt)
    for _ in range(3):
        with pytest.raises(stop):
            model(image)
    handle.remove(), proj.remove()
    assert torch.equal(model(image), expected)
    gc.collect()
    assert [ref for ref in kept if ref() is not None] == []
    with pytest.raises(ForwardError, match="seen no values"):
        model.blocks[1].attn.norm(torch.zeros(1, 48))


def test_a_model_is_freed_after_an_interrupt() -> None:
    model, image = _vit(), _pair()[0].detach()
    model.blocks[1].attn.q_norm.register_forward_hook(_interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(image)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_copies_made_during_a_forward() -> None:
    model, image = _vit(), _pair()[0].detach()
    expected, copies = model(image), []

    def take(*_: object) -> None:
        handle.remove()
        copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model))])

    handle = model.blocks[1].attn.q_norm.register_forward_hook(take)
    assert torch.equal(model(image), expected)
    assert all(torch.equal(twin(image), expected) for twin in copies)
