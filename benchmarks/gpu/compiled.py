"""What the kernels compile to for a GPU that need not be there: registers, spills, shared memory, widths of loads.

    python -m benchmarks.gpu.compiled

Compiles every kernel for sm_90 (H100, H200) with the constants of EfficientNet-B0's layers, and asks `cuobjdump` what
it takes. Prints a line a kernel; exits 1 with a sentence where one spills, takes more than `MOST_REGISTERS` or
`MOST_SHARED`, or does not load maps in words of at least 64 bits.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from compound.kernels.gpu import OPTIONS, depthwise, norm_act, rmsprop

MOST_REGISTERS = 128  # of 65,536 a multiprocessor: leaves room for four blocks of four warps
MOST_SHARED = 32 * 1024  # bytes, of 228 KiB
WORDS = {"v2.b32": 64, "v4.b32": 128, "v2.b64": 128}  # bits of a load, by what PTX calls it
TARGET = GPUTarget("cuda", 90, 32)


@dataclass(frozen=True)
class Case:
    """A kernel with types of its arguments and constants; `aligned`: which are multiples of 16, as most are."""

    name: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, int]
    aligned: tuple[str, ...]
    wide: bool = True  # whether its maps must be loaded in words


def cases() -> list[Case]:
    found = []
    numbers = {"rows": "i32", "channels": "i32"}
    tile = {"ROWS": norm_act.ROWS, "CHANNELS": norm_act.CHANNELS}
    norm = dict.fromkeys(("mean", "variance", "weight", "bias"), "*fp32") | {"eps": "fp32"}
    sums = {"to_weight": "*fp32", "to_bias": "*fp32"}
    for kind in ("fp32", "bf16"):
        x, maps = {"x": f"*{kind}"}, {"gradient": f"*{kind}", "x": f"*{kind}"}
        swish = tile | {"ACT": 3}
        for name, kernel, types, constants in (
            ("statistics", norm_act._statistics, x | {"means": "*fp32", "squares": "*fp32"} | numbers, tile),
            ("apply", norm_act._apply, x | {"y": f"*{kind}"} | norm | numbers, swish),
            ("backward sums", norm_act._backward_sums, maps | norm | sums | numbers, swish),
            ("backward map", norm_act._backward_map, maps | norm | sums | {"to_x": f"*{kind}"} | numbers, swish),
        ):
            found.append(Case(f"norm {name}, {kind}", kernel, types, constants, aligned(types)))
        for k in (3, 5):
            geometry = dict.fromkeys(
                ("count", "channels", "height", "width", "high", "wide", "down", "along", "above", "left"), "i32"
            )
            own = {"K": k, "PLACES": depthwise.PLACES, "CHANNELS": depthwise.CHANNELS}
            types = {"gradient": f"*{kind}", "weight": "*fp32", "to_x": f"*{kind}"} | geometry
            found.append(Case(f"depthwise {k}x{k} to map, {kind}", depthwise._to_map, types, own, aligned(types)))
            types = maps | {"found": "*fp32"} | geometry
            own = own | {"COLUMNS": 4 if k == 3 else 8}
            case = Case(f"depthwise {k}x{k} to weight, {kind}", depthwise._to_weight, types, own, aligned(types))
            found.append(case)
    types = {"table": "*i64", "places": "*i64"} | dict.fromkeys(
        ("rate", "decay", "momentum", "eps", "weight_decay"), "fp32"
    )
    found.append(Case("rmsprop", rmsprop._step, types, {"BLOCK": rmsprop.BLOCK}, aligned(types)))
    return found


def aligned(types: dict[str, str]) -> tuple[str, ...]:
    """Pointers, and the number of channels."""
    return tuple(name for name, kind in types.items() if kind.startswith("*") or name == "channels")


def compiled(case: Case) -> dict[str, Any]:
    """Registers, bytes of stack (spills), shared bytes, and the widest load of maps in bits."""
    names = case.kernel.arg_names
    signature = {name: case.types.get(name, "constexpr") for name in names}
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in case.aligned}
    constants = {(names.index(name),): value for name, value in case.constants.items()}
    source = ASTSource(case.kernel, signature, constants, attributes)
    made = triton.compile(source, target=TARGET, options=OPTIONS)
    loads = re.findall(r"ld\.global[.\w:]*?\.(v\d\.b\d+|b\d+)", made.asm["ptx"])
    width = max((WORDS.get(load, 0) for load in loads), default=0)
    return resources(made.asm["cubin"]) | {"shared": made.metadata.shared, "bits": width}


def resources(cubin: bytes) -> dict[str, Any]:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return {
        name: int(re.search(rf"{word}:(\d+)", said).group(1))  # type: ignore[union-attr]
        for name, word in (("registers", "REG"), ("stack", "STACK"), ("local", "LOCAL"))
    }


def wrong(case: Case, found: dict[str, Any]) -> str | None:
    if found["stack"] or found["local"]:
        return f"{case.name} spills {found['stack'] + found['local']} bytes"
    if found["registers"] > MOST_REGISTERS:
        return f"{case.name} takes {found['registers']} registers"
    if found["shared"] > MOST_SHARED:
        return f"{case.name} takes {found['shared']} bytes of shared memory"
    if case.wide and found["bits"] < 64:
        return f"{case.name} loads nothing in words of 64 bits or more"
    return None


def main() -> None:
    faults = []
    for case in cases():
        found = compiled(case)
        print(f"{case.name:34} {', '.join(f'{name} {value}' for name, value in found.items())}", flush=True)
        faults += [said for said in [wrong(case, found)] if said]
    if faults:
        sys.exit("; ".join(faults))


if __name__ == "__main__":
    main()
