"""Weights of 8 bits: one step per output channel, no calibration, computed with in half precision."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire import progress
from edgepack.wire.types import Artifact, ConvertJob
from edgepack_targets.coreml import conversion, interface, package, passes, program

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_IOS16 = 16
_THRESHOLD = 512
"""Weights of at most so many numbers stay as they are: they would save less than they cost."""

_SUFFIX = "_quantized"
_HALF_STEP = 0.5
_HALF_ULP = 2.0**-11
_SMALLEST_HALF = 2.0**-25


def quantize(job: ConvertJob) -> Artifact:
    """The package of `job.base` with weights of 8 bits, in the job's folder.

    Raises E202 or E203 for a base that cannot be read, E402 when coremltools fails, E407 if no weight
    was quantized, E413 for an iOS that cannot read such weights, E414 if a weight was changed wrongly.
    """
    minimum_ios = conversion.minimum_ios(job)
    if minimum_ios < _IOS16:
        raise EdgepackError(
            "E413",
            f"iOS {minimum_ios} cannot read weights of 8 bits",
            help='set minimum_ios = "16.0" or later, or leave out int8-weights',
        )
    signature, notes = interface.shown(job.signature, minimum_ios)
    base = package.read(Path(job.base))
    progress.report("quantize the weights")
    model = _vendor(Path(job.base))
    folder = Path(model.weights_dir).parent
    made = package.Package(spec=model.get_spec(), folder=folder)
    coverage = _check(base, made)
    artifact = conversion.finish(model, job, signature, notes)
    return dataclasses.replace(artifact, notes=(*artifact.notes, coverage))


def _vendor(base: Path) -> Any:
    """The quantized coremltools model. Raises E402 with what coremltools said."""
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    passes.restrain()
    config = cto.OptimizationConfig(
        global_config=cto.OpLinearQuantizerConfig(
            mode="linear_symmetric",
            dtype="int8",
            granularity="per_channel",
            weight_threshold=_THRESHOLD,
        )
    )
    try:
        return cto.linear_quantize_weights(
            ct.models.MLModel(str(base), skip_model_load=True), config
        )
    except program.VENDOR_ERRORS as error:
        raise program.failed("coremltools cannot quantize the weights", error) from error


def _check(base: package.Package, made: package.Package) -> str:
    """A sentence on how much was quantized, every quantized weight having been compared.

    Raises E407 if nothing was, E414 if a weight is further from its original than half a step.
    """
    originals = {
        operation.outputs[0].name: value
        for operation, name, value in package.values(base.spec)
        if operation.type == "const" and name == "val" and _is_float_weight(value)
    }
    total = sum(package.elements(value) for value in originals.values())
    done, count = 0, 0
    for operation in package.operations(made.spec):
        if not operation.type.startswith("constexpr_"):
            continue
        name = operation.outputs[0].name.removesuffix(_SUFFIX)
        if name not in originals:
            raise _wrong(name, "it is not among the weights of the original")
        _compare(name, package.array(base, originals[name]), _dequantized(made, operation))
        done += package.elements(originals[name])
        count += 1
    if not done:
        raise EdgepackError(
            "E407",
            "no weight of the model can be quantized",
            why=f"It has {len(originals)} constant weights; coremltools quantizes those with more "
            f"than {_THRESHOLD} numbers and at least two axes.",
            help="use fp16 for this model",
        )
    share = 100 * done / total
    return (
        f"8 bits for {count} of {len(originals)} weight tensors, {share:.1f} % of the weight bytes; "
        "the rest stays in the precision of the base"
    )


def _compare(name: str, original: Array, dequantized: tuple[Array, Array]) -> None:
    """Raises E414 if a dequantized weight is more than half a step from its original."""
    import numpy as np

    values, scale = dequantized
    if values.shape != original.shape:
        raise _wrong(name, f"its shape is {values.shape}, not {original.shape}")
    rounding = 127 * np.maximum(scale * _HALF_ULP, _SMALLEST_HALF)
    allowed = scale * (_HALF_STEP + _HALF_ULP) + rounding
    error = np.abs(original.astype(np.float32) - values)
    if not np.all(error <= allowed):
        raise _wrong(name, f"a weight changed by {float(np.nanmax(error)):.3g}")


def _dequantized(made: package.Package, operation: Any) -> tuple[Array, Array]:
    """(weights, step of each) of a constexpr operation, float32, broadcastable to each other."""
    import numpy as np

    fields = dict(operation.attributes.items())
    for name, argument in operation.inputs.items():
        fields[name] = argument.arguments[0].value
    data = fields.get("quantized_data") or fields.get("data")
    if data is None or operation.type not in (
        "constexpr_affine_dequantize",
        "constexpr_blockwise_shift_scale",
    ):
        raise _wrong(operation.outputs[0].name, f"it became {operation.type}")
    values = package.array(made, data).astype(np.float32)
    scale = package.array(made, fields["scale"]).astype(np.float32)
    if "axis" in fields and scale.ndim:
        axis = int(package.array(made, fields["axis"])) % values.ndim
        scale = scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    shift = fields.get("zero_point") or fields.get("offset")
    if shift is not None and np.any(package.array(made, shift)):
        raise _wrong(operation.outputs[0].name, "its quantization is not symmetric")
    return values * scale, np.abs(scale)


def _is_float_weight(value: Any) -> bool:
    """Whether a constant is a float tensor in the weights file."""
    return (
        value.WhichOneof("value") == "blobFileValue" and package.dtype(value.type) in package.FLOATS
    )


def _wrong(name: str, why: str) -> EdgepackError:
    """E414 for a weight."""
    return EdgepackError("E414", f"coremltools quantized the weight {name} wrongly", why=why)
