"""Exported programs as graphs that can be changed, and back."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import fx
from torch.export import Dim, ExportedProgram


def graph_of(program: ExportedProgram) -> fx.GraphModule:
    """A program's graph with weights as attributes and without in-place operators.

    Operators stay as exported: linear, attention and recurrent layers are not taken apart.
    """
    return program.run_decompositions({}).module(check_guards=False)


def export(module: fx.GraphModule, program: ExportedProgram) -> ExportedProgram:
    """A changed graph as a program with the inputs, their ranges and the outputs of `program`.

    Views become reshapes: what replaced an operator may lay its result out in another way.
    """
    for node in module.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    module.recompile()
    fakes = inputs_of(program)
    dims = _dims(program, fakes)
    shapes = tuple(
        {axis: dims.get(str(n), Dim.STATIC) for axis, n in enumerate(f.shape)} for f in fakes
    )
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(
            module, examples(program), dynamic_shapes=shapes if dims else None, strict=False
        )


def inputs_of(program: ExportedProgram) -> list[Any]:
    """The fake tensors of a program's inputs, in order."""
    names = program.graph_signature.user_inputs
    values = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    return [values[name] for name in names]


def outputs_of(program: ExportedProgram) -> list[Any]:
    """The fake tensors of a program's outputs, in order."""
    values = {n.name: n.meta.get("val") for n in program.graph.nodes}
    return [values.get(name) for name in program.graph_signature.user_outputs]


def examples(program: ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Tensors that fit a program's inputs: those it was exported with, or zeros of the least size."""
    if program.example_inputs:
        return tuple(program.example_inputs[0])
    sizes = {str(symbol): max(2, int(r.lower)) for symbol, r in program.range_constraints.items()}
    return tuple(
        torch.zeros([sizes.get(str(n)) or int(n) for n in fake.shape], dtype=fake.dtype)
        for fake in inputs_of(program)
    )


def _dims(program: ExportedProgram, fakes: list[Any]) -> dict[str, Any]:
    """How torch.export is to treat each symbolic size: by the symbol or expression it was."""
    ranges = {str(symbol): limits for symbol, limits in program.range_constraints.items()}
    dims: dict[str, Any] = {}
    for size in (size for fake in fakes for size in fake.shape if not isinstance(size, int)):
        limits = ranges.get(str(size))
        bounded = limits is not None and str(limits.upper).isdigit()
        dims[str(size)] = (
            Dim(str(size), min=int(limits.lower), max=int(limits.upper))
            if limits is not None and bounded
            else Dim.AUTO
        )
    return dims


def tensor_of(module: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    """The tensor an attribute node stands for."""
    value: Any = module
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value.detach()


def add_constant(module: fx.GraphModule, name: str, value: torch.Tensor) -> fx.Node:
    """A new attribute of the graph, at the insertion point."""
    module.register_buffer(name, value)
    node = module.graph.get_attr(name)
    node.meta["val"] = value
    return node


def drop_unused(module: fx.GraphModule) -> None:
    """Delete the tensors that the graph no longer reads; exporting it would keep them in the file."""
    read = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    held = [
        name
        for named in (module.named_parameters, module.named_buffers)
        for name, _ in named(remove_duplicate=False)
    ]
    for name in held:
        if name not in read:
            owner, _, leaf = name.rpartition(".")
            delattr(module.get_submodule(owner), leaf)
