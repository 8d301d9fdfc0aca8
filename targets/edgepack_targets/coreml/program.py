"""The exported program before coremltools sees it: loaded, checked, and reduced to what it knows.

coremltools looks each torch operator up in a registry by name. Operators it lacks are taken apart by
torch's own decompositions, only these: decomposing everything would tear up attention, normalization
and recurrent layers that Core ML has as one operation.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import Signature
from edgepack_targets.coreml import decompositions, ops

# What torch and coremltools raise is not documented; these are the classes their sources raise.
VENDOR_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip

_INT32 = range(-(2**31), 2**31)
_ROUNDS = 8
"""A decomposition can bring in operators that need another; this many rounds end in practice."""

_ASSERTIONS = ("assert", "sym_constrain_range")
"""Parts of the names of operators that only check, and whose result nobody uses."""

_FOLDED_ELEMENTS = 65536
"""Constants up to this size are computed here instead of by coremltools."""

_COMPLETED = ("aten.fft_", "aten.max_pool")
"""Operators whose translations count on arguments that exported programs leave out."""

_SLICES = ("aten.slice.", "aten.slice_scatter.", "aten.narrow.")
"""Operators whose integers say where to stop; torch writes "to the end" as the largest int64."""


def load(model: str, signature: Signature) -> Any:
    """The torch.export program in a .pt2 file, checked against the signature it was exported with.

    Raises E402 if it cannot be loaded, E409 if it does not fit `signature`.
    """
    import torch

    path = Path(model)
    try:
        program = torch.export.load(path)
    except (*VENDOR_ERRORS, zipfile.BadZipFile) as error:
        raise failed(f"torch cannot load {path.name}", error) from error
    _check_signature(program, signature)
    return program


def failed(message: str, error: BaseException) -> EdgepackError:
    """E402 with what torch or coremltools said."""
    return EdgepackError(
        "E402", message, why=f"{type(error).__name__}: {str(error).strip()[:1500]}"
    )


def lower(program: Any, registered: Any) -> Any:
    """The program in operators that coremltools translates rightly, as far as torch can say it so.

    registered: the names coremltools can translate.
    Raises E217 for a model that keeps state, E401 naming the operators that remain, E402 when torch
    fails, E412 for integers beyond 32 bits.
    """
    import torch
    from torch._export.verifier import SpecViolationError

    known: dict[Any, Any] = {}
    table = decompositions.table()
    for _ in range(_ROUNDS):
        try:
            program = program.run_decompositions(table)
        except (*VENDOR_ERRORS, SpecViolationError) as error:
            raise failed("torch cannot decompose the model", error) from error
        _check_state(program)
        _drop_assertions(program)
        missing = {n.target for n in _calls(program) if _kind(n.target) not in registered}
        if missing and not known:
            known = dict(torch.export.default_decompositions().items())
        found = {target: known[target] for target in missing & known.keys()}
        if not found.keys() - table.keys():
            break
        table = {**found, **table}
    _fold_constants(program)
    unknown = [n for n in _calls(program) if _kind(n.target) not in registered]
    if unknown:
        raise _unknown(unknown)
    _check_integers(program)
    for node in _calls(program):
        _complete(node)
        if hasattr(node.target, "_schema"):
            node.meta[ops.TARGET_KEY] = node.target
    return program


def shape_scalars(program: Any) -> None:
    """Give each output without axes one axis of size 1, in place: Core ML has no scalar arrays."""
    import torch

    graph = program.graph
    (end,) = (n for n in graph.nodes if n.op == "output")
    nodes = list(end.args[0])
    for index, node in enumerate(nodes):
        if node.meta["val"].dim():
            continue
        with graph.inserting_before(end):
            nodes[index] = graph.call_function(torch.ops.aten.unsqueeze.default, (node, 0))
        nodes[index].meta["val"] = node.meta["val"].unsqueeze(0)
    end.args = (tuple(nodes),)
    _sign_outputs(program)


def prepare_inputs(program: Any) -> None:
    """Bring the inputs to what coremltools takes, in place: plain layout, integers of 32 bits.

    Raises E411 if arithmetic of 8 bits, which would overflow otherwise, is done on an input.
    """
    import torch

    for node in user_inputs(program):
        value = node.meta["val"].contiguous()
        if value.dtype in (torch.uint8, torch.int8):
            results = [user.meta.get("val") for user in node.users]
            if any(getattr(result, "dtype", value.dtype) == value.dtype for result in results):
                raise EdgepackError(
                    "E411",
                    f"the model computes with an input of dtype {dtype_name(value.dtype)}",
                    why="Core ML passes such an input as int32, which overflows elsewhere.",
                    help="convert that input to float or to a larger integer first",
                )
            value = value.to(torch.int32)
        node.meta["val"] = value


def user_inputs(program: Any) -> list[Any]:
    """The graph nodes of the inputs, in order."""
    by_name = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    return [by_name[name] for name in program.graph_signature.user_inputs]


def user_outputs(program: Any) -> list[Any]:
    """The graph nodes of the outputs, in order; one node may stand there twice."""
    (end,) = (n for n in program.graph.nodes if n.op == "output")
    return list(end.args[0])


def dtype_name(dtype: Any) -> str:
    """The name of a torch dtype as in signatures: torch.float32 is "float32"."""
    return str(dtype).removeprefix("torch.")


def _calls(program: Any) -> list[Any]:
    """The graph's operator calls in order."""
    return [n for n in program.graph.nodes if n.op == "call_function"]


def _kind(target: Any) -> str:
    """The name under which coremltools looks an operator up."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    name = target.name() if hasattr(target, "_schema") else target.__name__
    return str(sanitize_op_kind(name))


def _drop_assertions(program: Any) -> None:
    """Remove calls that only check something, in place."""
    for node in reversed(_calls(program)):
        if not node.users and any(part in str(node.target) for part in _ASSERTIONS):
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()


def _fold_constants(program: Any) -> None:
    """Compute what depends on nothing but small constants, in place, so that torch's result is taken."""
    import torch

    values = _small_tensors(program)
    graph = program.graph
    for node in _calls(program):
        result = node.meta.get("val")
        if not isinstance(result, torch.Tensor) or not _is_foldable(node, result, values):
            continue
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
        name = f"folded_{node.name}"
        value = node.target(*args, **kwargs).detach().contiguous()
        program.graph_module.register_buffer(name, value, persistent=False)
        with graph.inserting_before(node):
            constant = graph.create_node("get_attr", name, name=name)
        constant.meta = {"val": result}
        values[constant] = value
        node.replace_all_uses_with(constant)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    live = {node.target for node in graph.nodes if node.op == "get_attr"}
    for name, _ in list(program.graph_module.named_buffers(recurse=False)):
        if name not in live:
            delattr(program.graph_module, name)
    _sign_outputs(program)


def _sign_outputs(program: Any) -> None:
    """Bring the program's signature in line with the outputs of its graph, in place."""
    from torch.export.graph_signature import OutputSpec, TensorArgument

    specs = program.graph_signature.output_specs
    for index, node in enumerate(user_outputs(program)):
        if hasattr(node, "name"):
            kind, target = specs[index].kind, specs[index].target
            specs[index] = OutputSpec(kind, TensorArgument(name=node.name), target)
    program.graph_module.recompile()


def _small_tensors(program: Any) -> dict[Any, Any]:
    """The program's small constant tensors by the graph node that stands for each."""
    import torch

    signature = program.graph_signature
    targets = {
        **signature.inputs_to_buffers,
        **signature.inputs_to_parameters,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**program.constants, **program.state_dict}
    values = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in targets:
            values[node] = tensors[targets[node.name]]
        elif node.op == "get_attr":
            values[node] = getattr(program.graph_module, node.target)
    return {
        node: value
        for node, value in values.items()
        if isinstance(value, torch.Tensor) and value.numel() <= _FOLDED_ELEMENTS
    }


def _is_foldable(node: Any, result: Any, values: dict[Any, Any]) -> bool:
    """Whether a call has a small fixed result that known constants decide."""
    import torch

    tags = getattr(node.target, "tags", None)
    return (
        tags is not None
        and torch.Tag.nondeterministic_seeded not in tags
        and all(source in values for source in node.all_input_nodes)
        and all(isinstance(size, int) for size in result.shape)
        and result.numel() <= _FOLDED_ELEMENTS
    )


def _complete(node: Any) -> None:
    """Write out positional arguments that were left to torch's defaults, in place."""
    if not str(node.target).startswith(_COMPLETED):
        return
    positional = [a for a in node.target._schema.arguments if not a.kwarg_only]  # noqa: SLF001
    absent = positional[len(node.args) :]
    node.args = (*node.args, *(node.kwargs.get(a.name, a.default_value) for a in absent))
    node.kwargs = {k: v for k, v in node.kwargs.items() if k not in {a.name for a in absent}}


def _unknown(nodes: list[Any]) -> EdgepackError:
    """E401 for operators nobody can translate, by the names the model used."""
    names = ", ".join(sorted({str(n.meta.get("original_aten") or n.target) for n in nodes}))
    return EdgepackError(
        "E401",
        f"Core ML has no counterpart for {names}",
        why="Neither coremltools nor edgepack translates this torch operator, and torch has no "
        "decomposition into ones that they do.",
        help="express that part of the model with other operators, or use another target",
    )


def _check_state(program: Any) -> None:
    """Refuse programs that change their buffers or inputs. Raises E217."""
    signature = program.graph_signature
    mutated = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
    if mutated:
        raise EdgepackError(
            "E217",
            f"the model keeps state: it changes {', '.join(sorted(mutated))} while it runs",
            why="An artifact has no memory between two calls.",
            help="make the state an input and an output of the model",
        )


def _check_signature(program: Any, signature: Signature) -> None:
    """Check number, dtypes and shapes of inputs and outputs. Raises E409."""
    import torch

    for word, nodes, specs in (
        ("inputs", user_inputs(program), signature.inputs),
        ("outputs", user_outputs(program), signature.outputs),
    ):
        values = [n.meta.get("val") if isinstance(n, torch.fx.Node) else n for n in nodes]
        if len(values) != len(specs):
            raise EdgepackError(
                "E409", f"the exported program has {len(values)} {word}, not {len(specs)}"
            )
        for value, spec in zip(values, specs, strict=True):
            if not isinstance(value, torch.Tensor):
                raise EdgepackError("E409", f"{spec.name!r} of the exported program is no tensor")
            fits = len(value.shape) == len(spec.shape) and all(
                not isinstance(has, int) if isinstance(want, str) else has == want
                for has, want in zip(value.shape, spec.shape, strict=True)
            )
            if dtype_name(value.dtype) != spec.dtype or not fits:
                raise EdgepackError(
                    "E409",
                    f"{spec.name!r} of the exported program is {dtype_name(value.dtype)} "
                    f"{tuple(value.shape)}, not {spec.dtype} {spec.shape}",
                )


def _check_integers(program: Any) -> None:
    """Refuse integers that 32 bits cannot hold: coremltools would wrap them silently. Raises E412."""
    import torch

    tensors = {**program.state_dict, **program.constants}
    tensors.update(program.graph_module.named_buffers())
    for name, value in tensors.items():
        if not isinstance(value, torch.Tensor) or value.dtype != torch.int64 or not value.numel():
            continue
        low, high = (int(v) for v in torch.aminmax(value))
        if low not in _INT32 or high not in _INT32:
            raise _too_large(f"the constant {name}", low if low not in _INT32 else high)
    for node in _calls(program):
        if str(node.target).startswith(_SLICES):
            continue
        for value in torch.utils._pytree.tree_leaves((node.args, node.kwargs)):  # noqa: SLF001
            if type(value) is int and value not in _INT32:
                raise _too_large(f"an argument of {node.target}", value)


def _too_large(what: str, value: int) -> EdgepackError:
    """E412 for an integer beyond 32 bits."""
    return EdgepackError(
        "E412",
        f"{what} holds {value}, which needs {math.floor(math.log2(abs(value))) + 2} bits",
        why="Core ML computes with integers of 32 bits.",
        help="keep integers of the model within 32 bits",
    )
