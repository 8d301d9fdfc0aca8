"""A .tflite on LiteRT's interpreter with XNNPACK, as a phone's CPU runs it."""

from __future__ import annotations

import importlib.metadata
import re
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire import progress, tensors
from edgepack.wire.types import RunJob, RunResult, Signature, TensorSpec
from edgepack_targets.litert import model_file
from edgepack_targets.litert.model_file import Entry, ModelFile, Tensor

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

THREADS = 2
"""Fixed, so that a time means the same on every machine; phones run models on two to four cores."""

_VENDOR_ERRORS = (ValueError, RuntimeError)
_NO_OPERATOR = re.compile(r"(?:builtin opcode|custom op:?) '?([\w.:-]+)'?")
_AT_NODE = re.compile(r"Node number (\d+) \((\w+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A tensor of the artifact under the name a caller uses.

    convert: whether the caller's float32 stands for this tensor's integers.
    """

    name: str
    index: int
    tensor: Tensor
    convert: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An interpreter with its tensors bound, ready to be called."""

    interpreter: Any
    entry: Entry
    inputs: tuple[Bound, ...]
    outputs: tuple[Bound, ...]
    notes: tuple[str, ...]


class NoKernelError(EdgepackError):
    """E508 where LiteRT lacks a kernel; `operator` is its name."""

    def __init__(self, operator: str, path: Path, why: str) -> None:
        super().__init__(
            "E508",
            f"LiteRT has no kernel for {operator}, which {path.name} uses",
            why=why,
            help="Rewrite that part of the model with other operators.",
        )
        self.operator = operator


def run(job: RunJob) -> RunResult:
    """Run every case of job.samples, write the outputs in the order of job.signature.

    Raises E201-E203 for a file that is no usable .tflite, E508 if LiteRT cannot load it, E507 for a
    sample that does not fit, E506 if its names cannot be matched, E509 if it fails while running.
    """
    opened = open_artifact(Path(job.artifact), job.signature)
    progress.report("run the samples")
    results: list[list[Array]] = []
    seconds = []
    total = tensors.count(Path(job.samples))
    for number, case in enumerate(tensors.load(Path(job.samples))):
        fed = feed(opened, case, number)
        started = time.perf_counter()
        made = call(opened, fed)
        seconds.append(time.perf_counter() - started)
        results.append([_shown(b, array) for b, array in zip(opened.outputs, made, strict=True)])
        progress.report("run the samples", number + 1, total)
    tensors.save(Path(job.out), results)
    delegated, share = delegation(opened.interpreter)
    return RunResult(
        runtime=f"LiteRT {importlib.metadata.version('ai-edge-litert')}"
        + (" (XNNPACK)" if delegated else ""),
        fidelity="host",
        cases=len(results),
        seconds_per_case=statistics.median(seconds) if seconds else 0.0,
        notes=(*opened.notes, share),
    )


def open_artifact(path: Path, signature: Signature, *, keep_all: bool = False) -> Opened:
    """The artifact loaded, its tensors bound to the names of `signature`. Errors as in `run`.

    keep_all: keep what operators pass to each other after a call, for `Interpreter.tensor`.
    """
    model = model_file.read(path)
    entry = model_file.find(model, signature.name)
    if entry.subgraph != 0:
        raise EdgepackError(
            "E506",
            f"signature {entry.key!r} of {path.name} is not its first graph",
            why="edgepack runs the first graph of a file only.",
        )
    inputs, by_place = _bind(model, entry, entry.inputs, signature.inputs, "input")
    outputs, also = _bind(model, entry, entry.outputs, signature.outputs, "output")
    interpreter = load(path, keep_all=keep_all)
    notes = tuple(n for n in (by_place, also) if n)
    return Opened(interpreter=interpreter, entry=entry, inputs=inputs, outputs=outputs, notes=notes)


def load(path: Path, *, keep_all: bool = False) -> Any:
    """An interpreter with its tensors allocated. Raises E508, naming the operator."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        with warnings.catch_warnings():
            # It warns that keeping all tensors takes memory, which is what was asked for.
            warnings.simplefilter("ignore")
            interpreter = Interpreter(
                model_path=str(path),
                num_threads=THREADS,
                experimental_preserve_all_tensors=keep_all,
            )
        interpreter.allocate_tensors()
    except _VENDOR_ERRORS as error:
        raise _refused(path, error) from error
    return interpreter


def call(opened: Opened, fed: Sequence[Array]) -> list[Array]:
    """One run: arrays for the inputs as the artifact stores them, in order; its outputs likewise.

    Raises E509 if LiteRT refuses or fails.
    """
    interpreter = opened.interpreter
    try:
        resized = False
        for bound, array in zip(opened.inputs, fed, strict=True):
            # Only where an axis may vary: feed has checked the others.
            if -1 in bound.tensor.shape:
                interpreter.resize_tensor_input(bound.index, array.shape, strict=True)
                resized = True
        if resized:
            interpreter.allocate_tensors()
        for bound, array in zip(opened.inputs, fed, strict=True):
            interpreter.set_tensor(bound.index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(bound.index) for bound in opened.outputs]
    except _VENDOR_ERRORS as error:
        raise EdgepackError(
            "E509",
            f"LiteRT fails while it runs the artifact{_where(error)}",
            why=" ".join(str(error).split())[:500],
        ) from error


def delegation(interpreter: Any) -> tuple[bool, str]:
    """Whether XNNPACK runs anything, and a sentence on how much.

    LiteRT keeps the operators that a delegate took over and adds one node for each part. The operators
    of a part are those that its outputs need, back to its inputs.
    """
    nodes = interpreter._get_ops_details()  # noqa: SLF001 the public interface does not tell
    parts = [n for n in nodes if n["op_name"] == "DELEGATE"]
    own = [n for n in nodes if n["op_name"] != "DELEGATE"]
    maker = {int(t): i for i, node in enumerate(own) for t in node["outputs"]}
    taken: set[int] = set()
    for part in parts:
        given = {int(t) for t in part["inputs"]}
        wanted = [int(t) for t in part["outputs"]]
        while wanted:
            tensor = wanted.pop()
            index = maker.get(tensor)
            if tensor in given or index is None or index in taken:
                continue
            taken.add(index)
            wanted += [int(t) for t in own[index]["inputs"]]
    if not parts:
        return False, f"no delegate: LiteRT's own kernels run {len(own)} operators"
    rest = sorted({str(n["op_name"]) for i, n in enumerate(own) if i not in taken})
    told = f"XNNPACK runs {len(taken)} of {len(own)} operators in {len(parts)} part{'s' if len(parts) > 1 else ''}"
    return True, told + (f"; LiteRT's own kernels run {', '.join(rest)}" if rest else "")


def _bind(
    model: ModelFile,
    entry: Entry,
    pairs: tuple[tuple[str, int], ...],
    specs: tuple[TensorSpec, ...],
    kind: str,
) -> tuple[tuple[Bound, ...], str]:
    """The artifact's tensors in the order of `specs`, by name; by place where only one way is possible.

    Raises E506 otherwise. The second value says in a sentence that places were used, or is "".
    """
    graph = model.subgraphs[entry.subgraph].tensors
    by_name = dict(pairs)
    note = ""
    if len(pairs) == len(specs) and all(s.name in by_name for s in specs):
        order = [by_name[s.name] for s in specs]
    else:
        order = [index for _, index in pairs]
        likeness = [(graph[i].dtype, graph[i].shape) for i in order]
        fits = len(order) == len(specs) and all(
            _alike(graph[i], s) for i, s in zip(order, specs, strict=True)
        )
        if not fits or len(set(likeness)) != len(likeness):
            raise EdgepackError(
                "E506",
                f"the artifact's {kind}s cannot be matched to the model's",
                why=f"The artifact has {_listed([(n, graph[i]) for n, i in pairs])}.\n"
                f"Expected are {', '.join(s.name for s in specs)}.",
                help=f"Give the {kind}s the names the artifact has.",
            )
        note = f"{kind}s were matched by their place, their names differ"
    bound = []
    for spec, index in zip(specs, order, strict=True):
        tensor = graph[index]
        convert = (
            spec.dtype == "float32" and tensor.dtype != "float32" and bool(tensor.quantization)
        )
        bound.append(Bound(name=spec.name, index=index, tensor=tensor, convert=convert))
    return tuple(bound), note


def _alike(tensor: Tensor, spec: TensorSpec) -> bool:
    """Whether a tensor could be what a spec describes."""
    dtype = tensor.dtype == spec.dtype or (
        spec.dtype == "float32" and tensor.quantization is not None
    )
    return (
        dtype
        and len(tensor.shape) == len(spec.shape)
        and all(
            isinstance(want, str) or has in (-1, want)
            for has, want in zip(tensor.shape, spec.shape, strict=True)
        )
    )


def feed(opened: Opened, case: Sequence[Array], number: int) -> list[Array]:
    """A case as the artifact's inputs store it. Raises E507 naming the input that does not fit."""
    if len(case) != len(opened.inputs):
        raise EdgepackError(
            "E507",
            f"sample {number} has {len(case)} arrays, the artifact {len(opened.inputs)} inputs",
        )
    fed = []
    for bound, array in zip(opened.inputs, case, strict=True):
        dtype = "float32" if bound.convert else bound.tensor.dtype
        if str(array.dtype) != dtype:
            raise EdgepackError(
                "E507",
                f"sample {number}: input {bound.name!r} is {array.dtype}, the artifact takes {dtype}",
            )
        shape = bound.tensor.shape
        if len(array.shape) != len(shape) or any(
            want not in (-1, has) for has, want in zip(array.shape, shape, strict=True)
        ):
            raise EdgepackError(
                "E507",
                f"sample {number}: input {bound.name!r} has shape {list(array.shape)}, "
                f"the artifact takes {list(shape)}",
            )
        fed.append(_quantized(bound.tensor, array) if bound.convert else array)
    return fed


def _quantized(tensor: Tensor, array: Array) -> Array:
    """Integers that stand for the real numbers in `array`, rounded to the nearest, ends clipped."""
    import numpy as np

    assert tensor.quantization is not None
    limits = np.iinfo(tensor.dtype)
    scaled = np.rint(array / tensor.quantization.scales[0]) + tensor.quantization.zero_points[0]
    return np.clip(scaled, limits.min, limits.max).astype(tensor.dtype)


def _shown(bound: Bound, array: Array) -> Array:
    """An output as the caller knows it: real numbers where integers stand for them."""
    import numpy as np

    if not bound.convert:
        return array
    quantization = bound.tensor.quantization
    assert quantization is not None
    real = (array.astype(np.float64) - quantization.zero_points[0]) * quantization.scales[0]
    return real.astype(np.float32)


def _refused(path: Path, error: Exception) -> EdgepackError:
    """E508 for what LiteRT says when it cannot load a file."""
    said = " ".join(str(error).split())[:500]
    operator = _NO_OPERATOR.search(said)
    if operator:
        return NoKernelError(operator.group(1), path, said)
    return EdgepackError("E508", f"LiteRT cannot load {path.name}{_where(error)}", why=said)


def _where(error: Exception) -> str:
    found = _AT_NODE.search(str(error))
    return f" (operator {found.group(2)}, number {found.group(1)})" if found else ""


def _listed(pairs: list[tuple[str, Tensor]]) -> str:
    return ", ".join(f"{name} ({t.dtype} {list(t.shape)})" for name, t in pairs)
