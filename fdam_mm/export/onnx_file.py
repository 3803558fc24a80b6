"""From a module to the bytes of an ONNX file."""

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fdam_mm.errors import ExportError
from fdam_mm.layers import AttInv, FreqScale
from fdam_mm.toolkits.quiet import quiet

OPSET = 18
_DYNAMIC = torch.export.Dim.DYNAMIC


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    dynamic: Sequence[Sequence[int]],
    outputs: Sequence[str],
) -> bytes:
    """Export ``module`` of named ``inputs``, of each of which axes ``dynamic`` have any length.

    Raises:
        ExportError: torch or onnxscript cannot; says why.
        ImportError: The extra [export] is missing.
    """
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass
    from onnxscript import optimizer

    axes = tuple(dict.fromkeys(each, _DYNAMIC) for each in dynamic)
    try:
        with torch.no_grad(), quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recorded = torch.export.export(
                module, tuple(inputs.values()), dynamic_shapes=axes, strict=False
            )
            program: Any = torch.onnx.export(
                recorded, dynamo=True, verbose=False, input_names=list(inputs),
                output_names=list(outputs), opset_version=OPSET, optimize=False,
            )  # fmt: skip
            # In place of torch's own optimisation, which takes longer than all else: runtimes
            # rewrite a graph themselves.
            optimizer.fold_constants(program.model)
            CommonSubexpressionEliminationPass()(program.model)
            optimizer.remove_unused_nodes(program.model)
    except (torch.onnx.OnnxExporterError, UserError, GuardOnDataDependentSymNode) as error:
        raise ExportError(f"torch cannot export the model: {_reason(error)}") from error
    buffer = io.BytesIO()
    program.save(buffer)
    return buffer.getvalue()


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause, which names the operation or the symbol."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"


def joined(first: bytes, second: bytes) -> bytes:
    """One file of two that take the same inputs; ``second`` also takes what ``first`` gives."""
    import onnx
    from onnx.compose import add_prefix_graph

    model = onnx.load_from_string(second)
    before = add_prefix_graph(
        onnx.load_from_string(first).graph, "first/", rename_inputs=False, rename_outputs=False
    )
    graph, given = model.graph, {output.name for output in before.output}
    nodes, inputs = [*before.node, *graph.node], [i for i in graph.input if i.name not in given]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(before.initializer)
    return model.SerializeToString()


def to_half(content: bytes, model: nn.Module) -> bytes:
    """In float16, but for FDAM's layers and what stands before and after the model.

    These keep float32 as they do under autocast: spectra exceed what float16 holds.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = onnx.load_from_string(content)
    blocked = float32_nodes(graph, model)
    logging.getLogger("onnxruntime.transformers.float16").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers below float16's least
        half = convert_float_to_float16(graph, keep_io_types=True, node_block_list=blocked)
    return half.SerializeToString()


def float32_modules(model: nn.Module) -> list[str]:
    """Names of FDAM's layers."""
    return [n for n, m in model.named_modules() if isinstance(m, AttInv | FreqScale)]


def float32_nodes(graph: Any, model: nn.Module) -> list[str]:
    """Names of the operations that keep float32 in a smaller precision: FDAM's layers, and what
    stands before and after the model."""
    kept = [f"model.{name}" for name in float32_modules(model)]
    return [node.name for node in graph.graph.node if _stays(node, kept)]


def _stays(node: Any, kept: Sequence[str]) -> bool:
    scopes = next(
        (p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]"
    )
    inside = "'model'" in scopes or "'model." in scopes
    return not inside or any(f"'{name}'" in scopes for name in kept)
