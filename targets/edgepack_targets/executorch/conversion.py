"""From a torch.export program to a .pte that has been loaded and run once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from edgepack.errors import EdgepackError
from edgepack.wire import digest, progress, tensors
from edgepack.wire.types import Artifact, ConvertJob, Signature, TensorSpec
from edgepack_targets.executorch import (
    graphs,
    half,
    lowering,
    program,
    quantizing,
    recurrent,
    running,
)  # fmt: skip

_SUFFIX = ".pte"
_PACKAGES = ("executorch", "torch", "torchao")


def convert(job: ConvertJob) -> Artifact:
    """The .pte made from a job's program, in the job's folder.

    Raises E217 for a model with state, E401 for operators without a kernel or with a wrong one, E402 when
    ExecuTorch fails, E406 if the .pte does not run, E407 when nothing could be made in the precision
    asked for, E408 when the .pte shows another interface, E409 when the program does not have the job's
    signature.
    """
    precision = job.recipe.precision
    delegate = str(dict(job.recipe.options)["delegate"])
    progress.report("load the exported program")
    exported = _load(Path(job.model))
    _check_signature(exported, job.signature)
    _refuse(exported)
    examples, branched = graphs.examples(exported), lowering.branches(exported)
    exported, notes = _in_precision(exported, job, precision, delegate)
    progress.report("lower to ExecuTorch")
    interface = _interface(job.signature)
    manager, delegation = lowering.lower(
        exported,
        delegate=delegate,
        interface=interface,
        half=precision == "fp16",
        branched=branched,
    )
    del exported
    _check_kernels(manager)
    path = Path(job.out) / f"{job.stem}{_SUFFIX}"
    lowering.write(manager, path)
    del manager
    progress.report("load it and run it once")
    signature = _shown(path, job.signature, examples)
    return Artifact(
        file=path.name,
        sha256=digest.of_file(path),
        bytes=path.stat().st_size,
        format="executorch",
        signature=signature,
        versions={name: metadata.version(name) for name in _PACKAGES},
        notes=(*notes, _share(delegate, delegation)),
    )


def _load(path: Path) -> ExportedProgram:
    """The program in a .pt2. Raises E402."""
    try:
        return torch.export.load(path)
    except (*lowering.VENDOR_ERRORS, OSError, zipfile.BadZipFile) as error:
        raise EdgepackError(
            "E402", f"torch cannot load {path.name}", why=f"{type(error).__name__}: {error}"
        ) from error


def _check_signature(exported: ExportedProgram, signature: Signature) -> None:
    """Raise E409 unless a program has a signature's inputs and outputs, in number and dtype."""
    for word, values, specs in (
        ("inputs", graphs.inputs_of(exported), signature.inputs),
        ("outputs", graphs.outputs_of(exported), signature.outputs),
    ):
        if len(values) != len(specs):
            raise EdgepackError(
                "E409", f"the exported program has {len(values)} {word}, not {len(specs)}"
            )
        for value, spec in zip(values, specs, strict=True):
            dtype = str(getattr(value, "dtype", "torch.")).removeprefix("torch.")
            if dtype and dtype != spec.dtype:
                raise EdgepackError(
                    "E409", f"{spec.name!r} of the exported program is {dtype}, not {spec.dtype}"
                )


def _refuse(exported: ExportedProgram) -> None:
    """Raise E217 for a program that changes its state, E401 for shapes that depend on data."""
    changed = _changed_state(exported)
    if changed:
        raise EdgepackError(
            "E217",
            f"the model changes {', '.join(changed)} while it runs",
            why="An app could neither reset that state nor hand it in.",
            help="Make it an input and an output of forward().",
        )
    graphs_within = [m.graph for m in exported.graph_module.modules() if hasattr(m, "graph")]
    varying = {
        str(node.target)
        for graph in graphs_within
        for node in graph.nodes
        if node.op == "call_function" and _depends_on_data(node.meta.get("val"))
    }
    if varying:
        raise EdgepackError(
            "E401",
            f"ExecuTorch has no use for {', '.join(sorted(varying))}: shapes depend on the data",
            why="ExecuTorch 1.5.1 computes such tensors without an error and returns wrong values.",
            help="Use masks or a fixed number of elements instead.",
        )


def _changed_state(exported: ExportedProgram) -> list[str]:
    """Names of buffers and inputs that a program changes.

    Its own signature tells only once operators that work in place have been taken out.
    """
    in_place = any(
        getattr(getattr(node.target, "_schema", None), "is_mutable", False)
        for node in exported.graph.nodes
    )
    signature = (exported.run_decompositions({}) if in_place else exported).graph_signature
    changed = {**signature.buffers_to_mutate, **signature.user_inputs_to_mutate}
    return sorted(set(changed.values()))


def _depends_on_data(value: object) -> bool:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return any(isinstance(v, torch.Tensor) and free_unbacked_symbols(v) for v in values)


def _in_precision(
    exported: ExportedProgram, job: ConvertJob, precision: str, delegate: str
) -> tuple[ExportedProgram, tuple[str, ...]]:
    """The program rewritten for a precision, and what to tell of it. Raises E402, E407."""
    progress.report(f"prepare {precision}")
    try:
        if precision == "int8":
            return _in_int8(exported, job, delegate)
        if precision == "fp16":
            return _in_half(exported)
        return _with_loops(exported), ()
    except lowering.VENDOR_ERRORS as error:
        raise EdgepackError(
            "E402", f"the model cannot be made {precision}", why=f"{type(error).__name__}: {error}"
        ) from error


def _with_loops(exported: ExportedProgram) -> ExportedProgram:
    """The program with its recurrent layers as loops; itself if it has none."""
    if not any(node.target in recurrent.REPLACEMENTS for node in exported.graph.nodes):
        return exported
    module = graphs.graph_of(exported)
    recurrent.loop(module)
    return graphs.export(module, exported)


def _in_half(exported: ExportedProgram) -> tuple[ExportedProgram, tuple[str, ...]]:
    """The program in half where that is safe. Raises E407 if that is nowhere."""
    module = graphs.graph_of(exported)
    recurrent.loop(module)
    covered = half.narrow(module)
    if not covered.products:
        raise EdgepackError(
            "E407",
            "nothing of the model can be made fp16",
            why="It has no product with float32 weights whose values fit into half.",
        )
    notes = (
        f"{covered.products} of {covered.candidates} products with weights run in half.",
        "Half arithmetic needs ARMv8.2 or newer; older phones refuse the program.",
    )
    return graphs.export(module, exported), notes


def _in_int8(
    exported: ExportedProgram, job: ConvertJob, delegate: str
) -> tuple[ExportedProgram, tuple[str, ...]]:
    """The program quantized with the job's calibration samples. Raises E407 if nothing was."""
    if delegate != "xnnpack":
        raise EdgepackError(
            "E407",
            "int8 needs the xnnpack delegate",
            why="The portable kernels compute in float32 and would convert at every operator.",
        )
    cases = [tuple(map(torch.from_numpy, case)) for case in tensors.load(Path(job.calibration))]
    if not cases:
        raise EdgepackError("E407", "there are no calibration samples to quantize with")
    quantized, covered = quantizing.quantize(exported, cases)
    if not covered.products:
        raise EdgepackError(
            "E407",
            "nothing of the model can be made int8",
            why="XNNPACK's quantizer knows none of its operators.",
        )
    note = (
        f"{covered.products} of {covered.candidates} convolutions and linear layers are int8, "
        f"calibrated on {len(cases)} samples."
    )
    return quantized, (note,)


def _interface(signature: Signature) -> str:
    """Names and shapes of a signature as canonical JSON."""
    described = {
        word: [{"name": s.name, "dtype": s.dtype, "shape": list(s.shape)} for s in specs]
        for word, specs in (("inputs", signature.inputs), ("outputs", signature.outputs))
    }
    return json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check_kernels(manager: Any) -> None:
    """Raise E401 for operators of an emitted program that no kernel of the runtime bears the name of."""
    names = {
        ".".join(filter(None, (operator.name, operator.overload)))
        for plan in manager.executorch_program.execution_plan
        for operator in plan.operators
    }
    lacking = running.missing_kernels(names)
    if lacking:
        raise lowering.unsupported(lacking)


def _shown(path: Path, wanted: Signature, examples: Sequence[torch.Tensor]) -> Signature:
    """The signature a .pte shows, after it ran once. Raises E406, E408."""
    try:
        method, described = running.load(path, wanted.name)
        outputs = running.call(path, method, list(examples))
    except EdgepackError as error:
        raise EdgepackError("E406", "the converted program does not run", why=error.why) from error
    del outputs
    return Signature(
        name=described.name,
        inputs=_specs(wanted.inputs, described.inputs),
        outputs=_specs(wanted.outputs, described.outputs),
    )


def _specs(
    wanted: tuple[TensorSpec, ...], found: tuple[program.Tensor | str | None, ...]
) -> tuple[TensorSpec, ...]:
    """`wanted`, if that is what was found; varying axes count as any size. Raises E408."""
    fitting = len(wanted) == len(found) and all(
        isinstance(tensor, program.Tensor)
        and tensor.dtype == spec.dtype
        and len(tensor.sizes) == len(spec.shape)
        and all(isinstance(n, str) or n == m for n, m in zip(spec.shape, tensor.sizes, strict=True))
        for spec, tensor in zip(wanted, found, strict=True)
    )
    if not fitting:
        raise EdgepackError(
            "E408",
            "ExecuTorch made something else than it was asked for",
            why=f"Asked for {wanted}, found {found}.",
        )
    return wanted


def _share(delegate: str, delegation: lowering.Delegation) -> str:
    """A sentence on what XNNPACK runs."""
    total = delegation.delegated + delegation.left
    if delegate != "xnnpack":
        return f"All {total} operators run on ExecuTorch's portable kernels."
    parts = "part" if delegation.parts == 1 else "parts"
    return (
        f"XNNPACK runs {delegation.delegated} of {total} operators, in {delegation.parts} {parts}."
    )
