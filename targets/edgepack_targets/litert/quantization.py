"""fp16 and int8 artifacts, made from the float32 one by AI Edge Quantizer.

Inputs and outputs keep their dtypes. What stayed in float32 is counted and said: the quantizer leaves
out what it does not know without a word.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire import progress, tensors
from edgepack.wire.types import Artifact, ConvertJob, Signature
from edgepack_targets.litert import calibration, conversion, execution, interface, model_file
from edgepack_targets.litert.model_file import ModelFile, Subgraph

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ENOUGH_DB = 23.0
"""Aim for the worst calibration sample: the default limit of parity, 20 dB, and a margin of 3."""

_WORTH_DB = 0.5
"""What more operators in float32 must bring to be worth it."""

_JUDGED = 32
"""Calibration samples that candidates are compared on."""

_EQUAL_DB = 999.0
"""Stands for +inf where outputs are equal, or none of them is float; negative, for NaN and Inf."""

_FLOAT16_MAX = 65504.0
_MAKERS = ("ai-edge-quantizer",)
_VENDOR_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Candidate:
    """kept: operators left in float32. worst_db: signal to quantization noise of the worst sample."""

    content: bytes
    kept: frozenset[int]
    worst_db: float


def quantize(job: ConvertJob) -> Artifact:
    """The fp16 or int8 artifact of the job's base, in the job's folder.

    Raises E201-E203 for a base that is no .tflite, E221 without calibration samples, E402 when the
    quantizer fails, E407 when it changed nothing, E406 and E408 for what it made.
    """
    base = Path(job.base)
    model = model_file.read(base)
    path = Path(job.out) / f"{job.stem}{conversion.SUFFIX}"
    if job.recipe.precision == "fp16":
        progress.report("store the weights in fp16")
        path.write_bytes(_fp16(base.read_bytes(), model, job.signature))
        notes: list[str] = []
    else:
        best = _int8(job, base, model)
        path.write_bytes(best.content)
        told = f"worst calibration sample: {best.worst_db:.1f} dB signal to quantization noise"
        notes = [told] if best.worst_db < _EQUAL_DB else []
    notes.insert(0, _coverage(model_file.read(path), model, job.recipe.precision))
    tried = job.recipe.precision == "int8"
    return conversion.finish(path, job.signature, _MAKERS, tuple(notes), tried=tried)


def _fp16(data: bytes, model: ModelFile, signature: Signature) -> bytes:
    """Weights in float16, computed in float32. Those beyond its range stay as they are."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    recipe = recipe_manager.RecipeManager()
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    recipe.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    for graph in model.subgraphs:
        _keep_float(
            recipe, graph, [i for i in range(len(graph.operators)) if _too_large(data, graph, i)]
        )
    return _vendor(data, recipe, None, signature)


def _too_large(data: bytes, graph: Subgraph, operator: int) -> bool:
    """Whether an operator has a constant that float16 would turn into infinity."""
    import numpy as np

    for index in graph.operators[operator].inputs:
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and tensor.constant is not None and tensor.dtype == "float32":
            place = tensor.constant
            numbers = np.frombuffer(data, np.float32, place.length // 4, place.start)
            if numbers.size and max(-numbers.min(), numbers.max()) > _FLOAT16_MAX:
                return True
    return False


def _int8(job: ConvertJob, base: Path, model: ModelFile) -> _Candidate:
    """The candidate with the fewest operators in float32 that is good enough, or nearly the best.

    The noise of the first layers passes through all others, so these are the ones that may stay. On
    EfficientNet-Lite0 with the first 4 of 49 layers in float32 the worst of 98 photo crops rises from
    18.7 to 23.7 dB.
    """
    data = base.read_bytes()
    cases = tensors.load(Path(job.calibration))
    judged = _spread(tensors.count(Path(job.calibration)))
    kept_cases: list[tuple[Array, ...]] = []

    def passing() -> Any:
        for number, case in enumerate(cases):
            if number in judged:
                kept_cases.append(case)
            yield case

    measured = calibration.measure(base, model, job.signature, passing())
    always = _never_quantized(model, measured)
    reference = _outputs(base, job.signature, kept_cases)
    candidates: list[_Candidate] = []
    for first in _prefixes(model, search=dict(job.recipe.options).get("float_operators") != "none"):
        progress.report(f"quantize all but {first} operators" if first else "quantize")
        kept = always | frozenset(range(first))
        content = _static(data, model, measured, kept, job.signature)
        scratch = Path.cwd() / "candidate.tflite"
        scratch.write_bytes(content)
        try:
            made = _outputs(scratch, job.signature, kept_cases)
        except EdgepackError as error:
            raise conversion.unusable(error) from error
        worst = _worst_db(reference, made)
        scratch.unlink()
        candidates.append(_Candidate(content, kept, worst))
        if worst >= ENOUGH_DB:
            return candidates[-1]
    best = max(c.worst_db for c in candidates)
    return next(c for c in candidates if c.worst_db >= best - _WORTH_DB)


def _static(
    data: bytes,
    model: ModelFile,
    measured: calibration.Measured,
    kept: frozenset[int],
    signature: Signature,
) -> bytes:
    """Weights and activations in 8 bits where the quantizer can; inputs and outputs as they were."""
    import numpy as np
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    names = qtyping.TFLOperationName
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8
    )
    for kind in (names.INPUT, names.OUTPUT):
        recipe.add_quantization_config(
            regex=".*", operation_name=kind, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    _keep_float(recipe, model.subgraphs[0], sorted(kept))
    for graph in model.subgraphs[1:]:
        _keep_float(recipe, graph, range(len(graph.operators)))
    moved = calibration.corrected(data, measured, kept)
    graph = model.subgraphs[0]
    # Ranges of constants other than these must not be given: the quantizer would take them for the
    # whole tensor and drop the scales per channel.
    found = {
        name: {"min": low, "max": high}
        for name, (low, high) in calibration.weight_limits(moved, measured, kept).items()
    }
    for index, seen in measured.ranges.items():
        tensor = graph.tensors[index]
        shape = (1,) * len(tensor.shape)
        found[tensor.name] = {
            "min": np.full(shape, seen.low, np.float32),
            "max": np.full(shape, seen.high, np.float32),
        }
    return _vendor(bytes(moved), recipe, found, signature)


def _keep_float(recipe: Any, graph: Subgraph, operators: Sequence[int]) -> None:
    """Exempt operators. The quantizer knows them by the names of their outputs, each with a semicolon."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    for index in operators:
        operator = graph.operators[index]
        names = [graph.tensors[i].name for i in operator.outputs if i >= 0]
        names = names or [graph.tensors[i].name for i in operator.inputs if i >= 0]
        recipe.add_quantization_config(
            regex=f"^{re.escape(''.join(f'{n};' for n in names if n))}$",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            algorithm_key=AlgorithmName.NO_QUANTIZE,
        )


def _vendor(data: bytes, recipe: Any, ranges: dict[str, Any] | None, signature: Signature) -> bytes:
    """What the quantizer makes, with the names of `signature`. Raises E402 with its words."""
    from ai_edge_quantizer import quantizer

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = quantizer.Quantizer(data, recipe.get_quantization_recipe()).quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
    except _VENDOR_ERRORS as error:
        raise EdgepackError(
            "E402",
            "AI Edge Quantizer cannot quantize the model",
            why=f"{type(error).__name__}: {str(error).strip()[:1500]}",
        ) from error
    return bytes(interface.bind_again(made.quantized_model, signature))


def _never_quantized(model: ModelFile, measured: calibration.Measured) -> frozenset[int]:
    """Operators that read or write a computed float32 tensor without a usable range."""
    graph = model.subgraphs[0]

    def unknown(index: int) -> bool:
        if index < 0:
            return False
        tensor = graph.tensors[index]
        return (
            tensor.dtype == "float32" and tensor.constant is None and index not in measured.ranges
        )

    return frozenset(
        i for i, o in enumerate(graph.operators) if any(map(unknown, (*o.inputs, *o.outputs)))
    )


def _prefixes(model: ModelFile, *, search: bool) -> list[int]:
    """How many of the first operators to leave in float32, in the order to try.

    None, then as many as hold 2, 4, 8, … layers with weights, up to a quarter of these.
    """
    layers = calibration.weighted(model)
    steps = [0]
    count = 2
    while search and count <= len(layers) // 4:
        steps.append(layers[count - 1] + 1)
        count *= 2
    return steps


def _spread(count: int) -> frozenset[int]:
    """Numbers of at most _JUDGED cases, evenly spread."""
    if count <= _JUDGED:
        return frozenset(range(count))
    return frozenset(i * (count - 1) // (_JUDGED - 1) for i in range(_JUDGED))


def _outputs(
    path: Path, signature: Signature, cases: Sequence[Sequence[Array]]
) -> list[list[Array]]:
    opened = execution.open_artifact(path, signature)
    return [execution.call(opened, execution.feed(opened, c, i)) for i, c in enumerate(cases)]


def _worst_db(reference: list[list[Array]], actual: list[list[Array]]) -> float:
    """Least signal to quantization noise in dB of any float output on any case."""
    import numpy as np

    worst = _EQUAL_DB
    for wanted, got in zip(reference, actual, strict=True):
        for one, other in zip(wanted, got, strict=True):
            if one.dtype.kind != "f":
                continue
            signal = float(np.square(one.astype(np.float64)).sum())
            noise = float(np.square(one.astype(np.float64) - other).sum())
            if not np.isfinite(noise):
                return -_EQUAL_DB
            if signal > 0 and noise > 0:
                worst = min(worst, 10 * float(np.log10(signal / noise)))
    return worst


def _coverage(made: ModelFile, base: ModelFile, precision: str) -> str:
    """How much was quantized, in a sentence. Raises E407 if nothing was."""
    before = _numbers(base, "float32")
    after = before - _numbers(made, "float32")
    share = 100 * after / before if before else 0.0
    graph = made.subgraphs[0]
    own = [o for o in graph.operators if o.name not in ("QUANTIZE", "DEQUANTIZE")]
    whole = [o for o in own if any(_quantized(graph, i) for i in o.outputs)]
    floats = [o for o in own if any(_float(graph, i) for i in (*o.inputs, *o.outputs))]
    if not after and not whole:
        raise EdgepackError(
            "E407",
            f"nothing of the model could be stored in {precision}",
            why="AI Edge Quantizer knows none of its operators, or they have no weights.",
            help="Use fp32: it would be the same artifact.",
        )
    if precision == "fp16":
        return f"fp16: {share:.1f} % of the weights; LiteRT computes with them in float32"
    told = (
        f"int8: {len(whole)} of {len(whole) + len(floats)} operators, {share:.1f} % of the weights"
    )
    left = Counter(o.name for o in floats)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(left.items()))
    return f"{told}; in float32: {listed}" if left else told


def _numbers(model: ModelFile, dtype: str) -> int:
    """How many numbers the constants of a dtype hold. Both sides of a comparison count biases."""
    lengths = {
        t.constant.buffer: t.constant.length
        for graph in model.subgraphs
        for t in graph.tensors
        if t.constant is not None and t.dtype == dtype
    }
    return sum(lengths.values()) // 4


def _quantized(graph: Subgraph, index: int) -> bool:
    return index >= 0 and graph.tensors[index].quantization is not None


def _float(graph: Subgraph, index: int) -> bool:
    """Whether a tensor is computed in float32."""
    tensor = graph.tensors[index] if index >= 0 else None
    return tensor is not None and tensor.dtype == "float32" and tensor.constant is None
