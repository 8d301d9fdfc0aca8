"""A loaded module becomes torch.export programs of one plain shape: positional tensors in, a tuple out.

Names and order live in the Signature beside the program; every converter binds by position and gives
the artifact the user's names.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import (
    Dimension,
    Exported,
    ExportJob,
    ExportResult,
    Form,
    InputSpec,
    Signature,
    TensorSpec,
)
from edgepack_targets.sources import resolving, user_code

if TYPE_CHECKING:
    import torch

    from edgepack_targets.sources.loading import Loaded


def export_forms(job: ExportJob, loaded: Loaded) -> ExportResult:
    """Write `fixed.pt2` and `dynamic.pt2`, as asked, into job.out.

    Raises E213 unknown shapes, E214 forward fails, E216 export fails, E217 mutated state, E218 names
    that do not fit, E219 outputs that are not tensors.
    """
    import torch

    inputs, dimensions = resolving.resolve_inputs(job, loaded)
    by_name = {d.name: d for d in dimensions}
    varying = {d.name for d in dimensions if d.minimum != d.maximum}
    exported = []
    program = None
    forms: tuple[Form, ...] = job.forms if varying else ("fixed",)
    for form in forms:
        dynamic = form == "dynamic"
        examples = resolving.example_tensors(inputs, by_name, dynamic=dynamic)
        leaves = call(loaded.module, examples, "an example of the declared shape")
        names = output_names(job.outputs, [path for path, _ in leaves])
        program = _program(job, loaded, examples, inputs, by_name if dynamic else {}, form)
        outputs = _output_specs(program, names, inputs, dynamic=dynamic)
        specs = tuple(
            TensorSpec(
                name=i.name, dtype=i.dtype, shape=resolving.shape_of(i, by_name, dynamic=dynamic)
            )
            for i in inputs
        )
        exported.append(
            Exported(
                form=form,
                file=f"{form}.pt2",
                signature=Signature(name="forward", inputs=specs, outputs=outputs),
            )
        )
    assert program is not None
    return ExportResult(
        exported=tuple(exported),
        versions={"torch": torch.__version__, **_versions("safetensors", "transformers")},
        dimensions=tuple(d for d in dimensions),
        ranges=embedding_ranges(program, inputs),
        dependencies=user_code.dependencies(job.source.project, job.source.location)
        if job.source.kind == "factory"
        else (),
        parameters=sum(p.numel() for p in loaded.module.parameters()),
        operators=dict(
            sorted(
                Counter(
                    str(n.target) for n in program.graph.nodes if n.op == "call_function"
                ).items()
            )
        ),
    )


def call(module: torch.nn.Module, arguments: tuple[Any, ...], what: str) -> list[tuple[str, Any]]:
    """(path, tensor) of every leaf that `module` returns for positional `arguments`.

    Raises E214 when the call fails, E219 when it returns anything but tensors.
    """
    import torch
    from torch.utils import _pytree as pytree

    try:
        with torch.no_grad():
            result = module(*arguments)
    except Exception as error:
        shapes = ", ".join(
            f"{str(a.dtype).removeprefix('torch.')}{list(a.shape)}" for a in arguments
        )
        raise EdgepackError(
            "E214",
            f"the model fails on {what}: {type(error).__name__}",
            why=f"{' '.join(str(error).split())[:500]}\nIt was called with {shapes}.",
            help="Correct [[model.inputs]] or the samples to what forward takes.",
        ) from error
    leaves = pytree.tree_flatten_with_path(result)[0]
    named = [("_".join(_key(k) for k in path), leaf) for path, leaf in leaves]
    wrong = [(path, leaf) for path, leaf in named if not isinstance(leaf, torch.Tensor)]
    if wrong or not named:
        kind = type(wrong[0][1]).__name__ if wrong else "nothing"
        raise EdgepackError(
            "E219",
            f"the model returns {kind} where a tensor is needed",
            why=f"Output {wrong[0][0] or 'itself'!r} is {kind}." if wrong else "",
            help="Return tensors: one, a tuple, or a dict of them.",
        )
    return named


def _key(entry: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def output_names(declared: tuple[str, ...], paths: list[str]) -> tuple[str, ...]:
    """The user's names, or names from the structure: dict keys, "output", "output_0"… Raises E218."""
    if declared:
        if len(declared) != len(paths):
            raise EdgepackError(
                "E218",
                f"{len(declared)} outputs are declared, the model returns {len(paths)}",
                why=f"It returns: {', '.join(p or 'output' for p in paths)}.",
                help="Declare each output once, in the model's order.",
            )
        return declared
    if paths == [""]:
        return ("output",)
    return tuple(f"output_{p}" if p.replace("_", "").isdigit() else p for p in paths)


def _program(
    job: ExportJob,
    loaded: Loaded,
    examples: tuple[torch.Tensor, ...],
    inputs: tuple[InputSpec, ...],
    dimensions: dict[str, Dimension],
    form: Form,
) -> Any:
    """Export one form and write it; a .pt2 that already has the plain shape is copied as it is."""
    import torch

    path = Path(job.out) / f"{form}.pt2"
    if _is_plain(loaded.program) and (dimensions or not loaded.program.range_constraints):
        shutil.copyfile(job.source.location, path)
        return loaded.program
    if isinstance(loaded.module, torch.jit.ScriptModule):
        program = _from_script(loaded.module, examples)
        module = program.module()
    else:
        module = loaded.module
    shapes = None
    if dimensions:
        axes = {
            d.name: torch.export.Dim(d.name, min=d.minimum, max=d.maximum)
            for d in dimensions.values()
            if d.minimum != d.maximum
        }
        shapes = (
            tuple(
                {i: axes[a] for i, a in enumerate(spec.shape or ()) if a in axes} for spec in inputs
            ),
        )
    try:
        program = torch.export.export(flat(module), examples, dynamic_shapes=shapes, strict=False)
    except Exception as error:
        raise _export_failed(error, form) from error
    mutated = mutated_buffers(program)
    if mutated:
        raise EdgepackError(
            "E217",
            f"the model changes its buffer {mutated[0].removeprefix('inner.')!r} while it runs",
            why="Converters drop such state silently, and the second call would be wrong on the device.",
            help="Take the state as an input and return the new state as an output.",
        )
    torch.export.save(program, path)
    return program


def mutated_buffers(program: Any) -> list[str]:
    """Names of the buffers that a program writes to, sorted.

    A program that was not decomposed yet writes in place: such an operator's written argument is followed
    through views to the buffer it belongs to.
    """
    buffers = dict(program.graph_signature.inputs_to_buffers)
    found = set(program.graph_signature.buffers_to_mutate.values())
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op != "call_function" or schema is None or not schema.is_mutable:
            continue
        for argument, declared in zip(node.args, schema.arguments, strict=False):
            if declared.alias_info is not None and declared.alias_info.is_write:
                root = argument
                while getattr(root, "op", "") == "call_function" and root.args:
                    root = root.args[0]
                if getattr(root, "name", "") in buffers:
                    found.add(buffers[root.name])
    return sorted(found)


def _is_plain(program: Any) -> bool:
    """Whether a program takes positional tensors and returns a tuple of tensors, without state."""
    if program is None or mutated_buffers(program):
        return False
    (args, kwargs), out = (
        program.call_spec.in_spec.unflatten(list(range(program.call_spec.in_spec.num_leaves))),
        program.call_spec.out_spec,
    )
    positional = not kwargs and all(isinstance(a, int) for a in args)
    returned = out.unflatten(list(range(out.num_leaves)))
    return positional and isinstance(returned, tuple) and all(isinstance(r, int) for r in returned)


def flat(module: torch.nn.Module) -> torch.nn.Module:
    """`module` as one that takes positional tensors and returns a tuple of tensors."""
    import torch
    from torch.utils import _pytree as pytree

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(pytree.tree_leaves(self.inner(*arguments)))

    wrapped = Flat()
    wrapped.training = False
    return wrapped


def _from_script(module: Any, examples: tuple[torch.Tensor, ...]) -> Any:
    """A TorchScript module as a torch.export program.

    torch.export refuses script modules; the converter in torch._export reads their graph, control flow
    included. It is private: delete when PyTorch offers a public way (2.13 has none).
    """
    from torch._export.converter import TS2EPConverter

    try:
        return TS2EPConverter(module, examples, {}).convert()
    except Exception as error:
        raise EdgepackError(
            "E216",
            "this TorchScript file cannot be turned into an exported program",
            why=" ".join(str(error).split())[:500],
            help="Give the Python source as file.py:function, or a .pt2 from torch.export.save.",
        ) from error


def _export_failed(error: Exception, form: Form) -> EdgepackError:
    said = str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = "\n".join(lines[:6])[:800]
    helps = "Data-dependent control flow must become torch.where or torch.cond."
    if form == "dynamic" or "Constraints violated" in said:
        helps = "Narrow the range in [model.dimensions], or fix the dimension to one size."
    return EdgepackError(
        "E216", f"torch.export cannot trace the model ({type(error).__name__})", why=why, help=helps
    )


def _output_specs(
    program: Any, names: tuple[str, ...], inputs: tuple[InputSpec, ...], *, dynamic: bool
) -> tuple[TensorSpec, ...]:
    """Output dtypes and shapes from the traced graph; symbolic axes by the input axis they follow."""
    (output,) = [n for n in program.graph.nodes if n.op == "output"]
    values = [n.meta["val"] for n in output.args[0]]
    labels: dict[str, str] = {}
    placeholders = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    for spec, name in zip(inputs, program.graph_signature.user_inputs, strict=True):
        for axis, size in zip(spec.shape or (), placeholders[name].shape, strict=True):
            if isinstance(axis, str) and not isinstance(size, int):
                labels[str(size.node.expr)] = axis
    specs = []
    for name, value in zip(names, values, strict=True):
        shape = tuple(
            size if isinstance(size, int) else labels.get(str(size.node.expr), str(size.node.expr))
            for size in value.shape
        )
        assert dynamic or all(isinstance(s, int) for s in shape)
        specs.append(
            TensorSpec(name=name, dtype=str(value.dtype).removeprefix("torch."), shape=shape)
        )
    return tuple(specs)


def embedding_ranges(
    program: Any, inputs: tuple[InputSpec, ...]
) -> tuple[tuple[str, int, int], ...]:
    """(name, 0, last row) of each integer input that is looked up in an embedding table."""
    by_node = dict(zip(program.graph_signature.user_inputs, inputs, strict=True))
    found = []
    for node in program.graph.nodes:
        spec = by_node.get(node.name) if node.op == "placeholder" else None
        if spec is None or not spec.dtype.startswith("int"):
            continue
        seen, front = set(), [node]
        while front:
            current = front.pop()
            for user in current.users:
                if str(user.target).startswith("aten.embedding.") and user.args[1] is current:
                    found.append((spec.name, 0, int(user.args[0].meta["val"].shape[0]) - 1))
                    front, seen = [], {user}
                    break
                if user.op == "call_function" and user not in seen and _moves(str(user.target)):
                    seen.add(user)
                    front.append(user)
    return tuple({name: (name, low, high) for name, low, high in found}.values())


def _moves(target: str) -> bool:
    """Whether an operator only moves or recasts values, so that an index stays an index."""
    names = (
        "view",
        "reshape",
        "_to_copy",
        "to.",
        "clone",
        "slice",
        "unsqueeze",
        "expand",
        "contiguous",
    )
    return any(target.startswith(f"aten.{n}") for n in names)


def _versions(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
