"""From an exported program to a .pte: ExecuTorch's own lowering, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.operators import node_visitor
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import EdgeCompileConfig, ExecutorchProgramManager, to_edge
from executorch.exir import to_edge_transform_and_lower as to_edge_and_lower
from executorch.exir.delegate import executorch_call_delegate
from executorch.exir.error import ExportError, InternalError
from torch import fx
from torch.export import ExportedProgram

from edgepack.errors import EdgepackError

INTERFACE = "edgepack_interface"
"""Method of the .pte that returns the names of inputs and outputs as JSON; the format has none."""

VENDOR_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, ExportError, InternalError, LookupError,
    NotImplementedError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What exir raises is not documented; these are the classes its sources and torch's raise."""

_CONVOLUTION = "aten.convolution.default"


@dataclass(frozen=True, slots=True)
class Delegation:
    """parts: number of subgraphs that a delegate runs. delegated, left: operators in and outside them."""

    parts: int
    delegated: int
    left: int


def lower(
    program: ExportedProgram, *, delegate: str, interface: str, half: bool, branched: bool
) -> tuple[ExecutorchProgramManager, Delegation]:
    """A program lowered to ExecuTorch; `program` cannot be used again.

    delegate: "xnnpack" or "portable". interface: text that the method INTERFACE returns.
    half: whether weights of convolutions are to be stored in half where the program has them so.
    branched: whether the model has graphs within its graph, loops of ours not counted.
    Raises E401 for operators without a kernel, E402 when ExecuTorch fails otherwise.
    """
    partitioners = [XnnpackPartitioner()] if delegate == "xnnpack" else []
    # Its checks refuse programs that run, such as those with torch.stft (1.5.1). What cannot run is
    # found by `missing_kernels` and by running the result.
    config = EdgeCompileConfig(_check_ir_validity=False)
    methods = {INTERFACE: interface}
    if half:
        _store_half_convolutions()
    try:
        if branched:
            # The other way in refuses linear layers inside branches (1.5.1).
            manager = to_edge(program, constant_methods=methods, compile_config=config)
            for partitioner in partitioners:
                manager = manager.to_backend(partitioner)
        else:
            manager = to_edge_and_lower(
                program,
                partitioner=partitioners,
                constant_methods=methods,
                compile_config=config,
            )
        counted = _count(manager.exported_program().graph_module)
        return manager.to_executorch(), counted
    except VENDOR_ERRORS as error:
        raise _failure(error) from error


def branches(program: ExportedProgram) -> bool:
    """Whether a program has graphs within its graph: torch.cond, while_loop, map or scan."""
    return any(node.op == "get_attr" for node in program.graph.nodes)


def write(manager: ExecutorchProgramManager, path: Path) -> None:
    """Write the .pte. Raises OSError."""
    with path.open("wb") as file:
        manager.write_to_file(file)


def _failure(error: Exception) -> EdgepackError:
    """What to say of an exception of the vendor's."""
    why = f"{type(error).__name__}: {error}"
    missing = re.search(r"Missing out variants: \{(.*?)\}", str(error))
    if missing:
        names = sorted(name.strip(" '\"") for name in missing[1].split(","))
        return unsupported(names)
    return EdgepackError(
        "E402",
        "ExecuTorch cannot lower the model",
        why=why,
        help='The log has its whole traceback. `delegate = "portable"` does without XNNPACK.',
    )


def unsupported(names: list[str]) -> EdgepackError:
    """E401 for operators that ExecuTorch's runtime has no kernel for."""
    return EdgepackError(
        "E401",
        f"ExecuTorch has no kernel for {', '.join(names)}",
        why="The program would not load on the phone: no kernel of the runtime has that name.",
        help="Write that part of the model with other operators.",
    )


def _count(module: fx.GraphModule) -> Delegation:
    """How much of an edge graph, its branches included, went to delegates."""
    parts = delegated = left = 0
    for node in module.graph.nodes:
        if node.op == "get_attr":
            inner = getattr(module, str(node.target), None)
            if isinstance(inner, fx.GraphModule):
                counted = _count(inner)
                parts, delegated, left = (
                    parts + counted.parts,
                    delegated + counted.delegated,
                    left + counted.left,
                )
        elif node.target is executorch_call_delegate:
            lowered = getattr(module, str(node.args[0].target))
            parts += 1
            delegated += sum(map(_counts, lowered.original_module.graph.nodes))
        else:
            left += _counts(node)
    return Delegation(parts, delegated, left)


def _counts(node: fx.Node) -> bool:
    """Whether a node is an operator that computes something."""
    name = str(node.target)
    return node.op == "call_function" and "getitem" not in name and "quantize" not in name


def _store_half_convolutions() -> None:
    """Have XNNPACK's serializer write half weights of convolutions as half.

    It writes float32 (executorch 1.5.1, op_conv2d.py), although the runtime takes half as it does for
    linear layers, with equal results: a .pte in fp16 would be as large as in fp32.
    """
    vendor: Any = node_visitor._node_visitor_dict[_CONVOLUTION]  # noqa: SLF001 there is no other way in

    class HalfConvolution(vendor):
        def define_tensor(self, tensor: fx.Node, *args: Any, **options: Any) -> None:
            if tensor.meta["val"].dtype is torch.float16:
                options["force_fp32"] = False
            super().define_tensor(tensor, *args, **options)

    node_visitor.register_node_visitor(HalfConvolution)
