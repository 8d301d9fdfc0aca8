"""From a torch.export program to a .tflite in float32, through litert-torch.

`litert_torch.convert` would export the program once more: 2.0 of 10.7 s on EfficientNet-Lite0. The
stages that follow are called here one by one; the bytes that come out are the same. Delete when
litert-torch, now 0.10.0, takes an ExportedProgram.
"""

from __future__ import annotations

import importlib.metadata
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire import digest, progress
from edgepack.wire.types import Artifact, ConvertJob, Signature, TensorSpec
from edgepack_targets.litert import execution, interface

SUFFIX = ".tflite"
FORMAT = "TFLite flatbuffer, schema version 3"
_WIDE = ("int64", "float64")
_CHECKS = ("_assert_async", "_assert_scalar", "sym_constrain_range")
"""Parts of the names of operators that only check, and whose result nobody uses."""

# What litert-torch, jax and MLIR raise is not documented; these are the classes their sources raise.
_VENDOR_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
_MADE_FROM = {"STABLEHLO_SORT": "torch.sort, or torch.topk whose indices nobody reads"}
"""Torch operators that litert-torch turns into operators without a kernel."""

_NO_LOWERING = re.compile(r"Lowering not found: ([\w.:]+)")
_AT = re.compile(r"While executing .*?target=(?:torch\.ops\.)?([\w.]+)\]")
_ILLEGAL = re.compile(r"failed to legalize operation '([\w.]+)'")


@dataclass(frozen=True, slots=True)
class _Names:
    """What litert-torch asks of its own Signature class: a key, and a name per input."""

    name: str
    flat_arg_names: list[str]


def convert(job: ConvertJob) -> Artifact:
    """The float32 artifact of the job's program, in the job's folder.

    Raises E217 for a program with state, E401 for operators that litert-torch or LiteRT lacks, E402
    when it fails otherwise, E406 if LiteRT cannot load or run what it made, E408 and E409 when program,
    artifact and signature do not agree.
    """
    progress.report("load the exported program")
    program = load(job.model, job.signature)
    progress.report("convert with litert-torch")
    path = Path(job.out) / f"{job.stem}{SUFFIX}"
    lower(program, job.signature, path)
    del program
    interface.separate_outputs(path, job.signature)
    return finish(path, job.signature, ("litert-torch", "litert-converter", "torch", "jax"))


def finish(
    path: Path,
    signature: Signature,
    makers: Iterable[str],
    notes: tuple[str, ...] = (),
    *,
    tried: bool = False,
) -> Artifact:
    """The artifact of a file that was just written, checked.

    makers: names of the distributions that made it. tried: whether it has already run on samples.
    Raises E401, E406 and E408.
    """
    shown = interface.verify(path, signature)
    if not tried:
        progress.report("load and run the artifact once")
        try_once(path, shown)
    versions = {
        name: importlib.metadata.version(name)
        for name in sorted({*makers, "ai-edge-litert", "flatbuffers", "numpy"})
    }
    return Artifact(
        file=path.name,
        sha256=digest.of_file(path),
        bytes=path.stat().st_size,
        format=FORMAT,
        signature=shown,
        versions=versions,
        notes=notes,
    )


def try_once(path: Path, signature: Signature) -> None:
    """Load the artifact and run it: some operators convert, but have no kernel.

    It gets zeros, and ones where it does not take these: a model may divide by an input, or look
    something up by it. Raises E401 for an operator without a kernel, E406 for any other failure.
    """
    import numpy as np

    try:
        opened = execution.open_artifact(path, signature)
        zeros = [np.zeros(tuple(map(int, t.shape)), t.dtype) for t in signature.inputs]
        try:
            execution.call(opened, zeros)
        except EdgepackError:
            execution.call(opened, [np.ones_like(zero) for zero in zeros])
    except execution.NoKernelError as error:
        maker = _MADE_FROM.get(error.operator)
        raise EdgepackError(
            "E401",
            f"LiteRT has no kernel for {error.operator}{f', made from {maker}' if maker else ''}",
            why=error.why,
            help=error.help,
        ) from error
    except EdgepackError as error:
        raise unusable(error) from error


def unusable(error: EdgepackError) -> EdgepackError:
    """E406 for an artifact that was just made and then failed with `error`."""
    return EdgepackError(
        "E406", f"the artifact was made, but {error.message}", why=error.why, help=error.help
    )


def load(model: str, signature: Signature) -> Any:
    """The torch.export program in a .pt2 file, checked against the signature it was exported with.

    Raises E402 if it cannot be loaded, E409 if it does not fit `signature`.
    """
    import torch

    path = Path(model)
    try:
        program = torch.export.load(path)
    except (*_VENDOR_ERRORS, zipfile.BadZipFile) as error:
        raise EdgepackError(
            "E402", f"torch cannot load {path.name}", why=f"{type(error).__name__}: {error}"
        ) from error
    _check(program, signature)
    if program.example_inputs is None:
        program.example_inputs = (_examples(signature), {})
    return program


def lower(program: Any, signature: Signature, path: Path) -> None:
    """Write `program`, which this changes, as a .tflite with the names of `signature`.

    Integers of 64 bits stay what they are where the signature has any: XNNPACK takes over the same
    operators, and MiniLM is neither slower nor less exact (16 ms, 2e-7). Raises E217, E401 and E402.
    """
    import torch
    from litert_torch import _config, fx_infra
    from litert_torch._convert import core, litert_converter
    from torch.utils import _pytree as pytree

    wide = any(t.dtype in _WIDE for t in (*signature.inputs, *signature.outputs))
    names = _Names(signature.name, [t.name for t in signature.inputs])
    _config.config.show_progress = False
    fx_infra.silence_torch_logs()
    with torch.no_grad():
        try:
            program = fx_infra.graph_utils.reset_from_node_meta(program)
            table = fx_infra.decomp.pre_convert_decomp()
            program = fx_infra.safe_run_decompositions(program, table, can_skip=False)
            _drop_checks(program)
            _check_state(program)
            program = core._run_convert_passes(program)  # noqa: SLF001 see the module's docstring
            # litert-torch names outputs after the structure that the program returns.
            entry = program.module_call_graph[0].signature
            entry.out_spec = pytree.tree_structure({t.name: 0 for t in signature.outputs})
            made = litert_converter.exported_programs_to_flatbuffer(
                [program], [names], enable_x64=wide
            )
            made.to_file(str(path))
        except _VENDOR_ERRORS as error:
            raise _failed(program, error) from error


def _drop_checks(program: Any) -> None:
    """Remove operators that only check, in place; litert-torch knows none of them."""
    for node in reversed(list(program.graph.nodes)):
        checks = node.op == "call_function" and any(c in str(node.target) for c in _CHECKS)
        if checks and not node.users:
            program.graph.erase_node(node)
    program.graph_module.recompile()


def _check_state(program: Any) -> None:
    """Raises E217 if a decomposed program changes a buffer or a weight.

    Before, torch.export (2.13) keeps operators that work in place and its signature says nothing of it.
    """
    changed = program.graph_signature
    mutated = sorted({*changed.buffers_to_mutate.values(), *changed.parameters_to_mutate.values()})
    if mutated:
        raise EdgepackError(
            "E217",
            f"the model changes its buffer {mutated[0]!r} while it runs",
            why="litert-torch drops such state silently; the second call on the device would be wrong.",
            help="Take the state as an input and return the new state as an output.",
        )


def _check(program: Any, signature: Signature) -> None:
    """Raises E409 unless the program has the inputs and outputs of `signature`, by dtype and shape."""
    nodes = {n.name: n for n in program.graph.nodes}
    for kind, found, specs in (
        ("input", program.graph_signature.user_inputs, signature.inputs),
        ("output", program.graph_signature.user_outputs, signature.outputs),
    ):
        if len(found) != len(specs):
            raise EdgepackError(
                "E409", f"the exported program has {len(found)} {kind}s, not {len(specs)}"
            )
        for name, spec in zip(found, specs, strict=True):
            value = nodes[name].meta.get("val") if isinstance(name, str) and name in nodes else None
            if value is None or not hasattr(value, "dtype"):
                raise EdgepackError(
                    "E409", f"{kind} {spec.name!r} of the exported program is no tensor"
                )
            has = (str(value.dtype).removeprefix("torch."), tuple(value.shape))
            if has != (spec.dtype, spec.shape):
                raise EdgepackError(
                    "E409",
                    f"{kind} {spec.name!r} of the exported program is {has[0]} {list(has[1])}, "
                    f"not {spec.dtype} {list(spec.shape)}",
                )


def _examples(signature: Signature) -> tuple[Any, ...]:
    """Zeros for a program that was saved without its example inputs."""
    import torch

    def zeros(spec: TensorSpec) -> Any:
        return torch.zeros(tuple(map(int, spec.shape)), dtype=getattr(torch, spec.dtype))

    return tuple(zeros(spec) for spec in signature.inputs)


def _failed(program: Any, error: Exception) -> EdgepackError:
    """E401 where the cause is an operator that litert-torch does not know, else E402."""
    said = str(error)
    unknown = set(_NO_LOWERING.findall(said))
    if unknown:
        unknown |= _unknown(program)
    why = "Neither litert-torch nor torch's decompositions know this operator."
    if "complex<" in said:
        unknown = _complex(program) or {at.group(1) for at in [_AT.search(said)] if at}
        why = "LiteRT computes with real numbers only; this operator gives complex ones."
    if unknown:
        return EdgepackError(
            "E401",
            f"LiteRT has no counterpart for {', '.join(sorted(unknown))}",
            why=why,
            help="Rewrite that part of the model with other operators.",
        )
    illegal, at = _ILLEGAL.search(said), _AT.search(said)
    where = illegal or at
    return EdgepackError(
        "E402",
        f"litert-torch cannot convert the model{f' (at {where.group(1)})' if where else ''}",
        why=f"{type(error).__name__}: {said.strip()[:1500]}",
    )


def _unknown(program: Any) -> set[str]:
    """Operators of a decomposed program that litert-torch cannot lower."""
    import operator

    from litert_torch.backend import lowerings
    from litert_torch.fx_infra import decomp

    known = decomp.pre_lower_decomp()
    targets = {n.target for n in program.graph.nodes if n.op == "call_function"}
    return {
        str(t)
        for t in targets
        if hasattr(t, "_schema")
        and t is not operator.getitem
        and t not in known
        and lowerings.lookup(t) is None
    }


def _complex(program: Any) -> set[str]:
    """Operators of a program that make complex numbers out of real ones."""
    import torch

    def is_complex(node: Any) -> bool:
        value = node.meta.get("val")
        return isinstance(value, torch.Tensor) and value.is_complex()

    return {
        str(n.target)
        for n in program.graph.nodes
        if n.op == "call_function"
        and is_complex(n)
        and not any(is_complex(i) for i in n.all_input_nodes)
    }
