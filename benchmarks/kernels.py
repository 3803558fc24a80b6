"""What the kernels take of a GPU's chip, compiled without one: registers, shared memory, spills.

Prints the table of docs/gpu.md, or what a JSON file holds.

python benchmarks/kernels.py --out benchmarks/results/kernels.json
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fdam_mm.files import require_writable, write_atomically
from fdam_mm.layers.kernels import att_inv, freq_scale_kernels, routing
from fdam_mm.layers.kernels.freq_scale_tiles import launch_options

CAPABILITIES = (80, 90)
PTXAS = Path(triton.__file__).parent / "backends/nvidia/bin/ptxas"


def cases() -> dict[str, tuple[Any, dict[str, str], dict[str, Any], dict[str, int]]]:
    """Name -> kernel, types of its arguments, constants, options."""
    found: dict[str, tuple[Any, dict[str, str], dict[str, Any], dict[str, int]]] = {}
    for dtype, pointer in (("float32", "*fp32"), ("bfloat16", "*bf16")):
        exact = dtype == "float32"
        for side in (14, 32):
            for kernel in (freq_scale_kernels.scale, freq_scale_kernels.scale_backward):
                name, bases = kernel.__name__, (4, 48, 14, 8)
                options = launch_options(name, side, side, bases, exact)
                launch = {k: options.pop(k) for k in ("num_warps", "maxnreg") if k in options}
                flags = {k: True for k in ("SHORTCUT", "GAMMA") if k in kernel.arg_names}
                found[f"{name} {side}x{side} {dtype}"] = (
                    kernel, types(kernel, pointer, ("x_ptr", "grad_x_ptr")),
                    flags | options, launch,
                )  # fmt: skip
        of_input = ("y_ptr", "v_ptr", "out_ptr", "grad_ptr", "grad_y_ptr", "grad_v_ptr")
        backward = dict(HEADS=12, DIM=64, TOKENS=att_inv.BACKWARD_TOKENS, PADDED=64)
        for kernel, constants in (
            (att_inv.mix_forward, att_inv.forward_constants(12, 64, exact)),
            (att_inv.mix_backward, backward),
        ):
            found[f"{kernel.__name__} 12 heads of 64 {dtype}"] = (
                kernel, types(kernel, pointer, of_input), constants, {},
            )  # fmt: skip
    constants = dict(C=768, HIDDEN=48, OUT=64, PADDED=64, BLOCK=routing.BLOCK)
    found["route 768 channels float32"] = (
        routing.route, types(routing.route, "*fp32", ()), constants, {},
    )  # fmt: skip
    return found


def types(kernel: Any, pointer: str, of_input: tuple[str, ...]) -> dict[str, str]:
    """The signature: pointers to the input's type, to float32, sizes, and what is constant."""
    signature = {}
    for parameter in kernel.params:
        if parameter.is_constexpr:
            signature[parameter.name] = "constexpr"
        elif parameter.name.endswith("_ptr"):
            signature[parameter.name] = pointer if parameter.name in of_input else "*fp32"
        else:
            signature[parameter.name] = "i32"
    return signature


def compiled(
    kernel: Any,
    signature: dict[str, str],
    constants: dict[str, Any],
    options: dict[str, int],
    capability: int,
) -> dict[str, int]:
    """Registers of a thread, bytes of shared memory, and bytes spilled, as ptxas tells them."""
    names = list(signature)
    # As at a launch: pointers of torch's allocations, and sizes, are multiples of 16.
    even = {(names.index(n),): [["tt.divisibility", 16]] for n in names if n.endswith("_ptr")}
    source = ASTSource(kernel, signature, constants, attrs=even)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as ptx:
        ptx.write(made.asm["ptx"])
        ptx.flush()
        target = re.search(r"\.target (sm_\w+)", made.asm["ptx"]).group(1)
        command = [PTXAS, "-v", f"--gpu-name={target}", ptx.name, "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return {
        "threads": 32 * made.metadata.num_warps,
        "registers": int(re.search(r"Used (\d+) registers", said).group(1)),
        "shared_bytes": made.metadata.shared,
        "spilled_bytes": sum(map(int, re.findall(r"(\d+) bytes spill", said))),
    }


def table(kernels: dict[str, dict[str, dict[str, int]]]) -> str:
    """Markdown, a row per kernel; the targets side by side, "sm_80 / sm_90"."""
    columns = ("threads", "registers", "shared_bytes", "spilled_bytes")
    lines = ["| kernel | threads | registers | shared memory, bytes | spilled, bytes |"]
    lines.append("|---|---|---|---|---|")
    for name, targets in kernels.items():
        cells = (" / ".join(str(f[column]) for f in targets.values()) for column in columns)
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="a JSON file")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the kernels' names")
    args = parser.parse_args()
    if args.out:
        require_writable(args.out)
    rows = {
        name: {f"sm_{capability}": compiled(*case, capability) for capability in CAPABILITIES}
        for name, case in cases().items()
        if any(part in name for part in args.only)
    }
    if args.out:
        text = json.dumps({"triton": triton.__version__, "kernels": rows}, indent=1)
        write_atomically(args.out, text + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
