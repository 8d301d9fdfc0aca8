"""From a torch.export program to an ML Program package, through coremltools.

coremltools keeps state between conversions and names symbols differently in a second one, so this is
called once per process.
"""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from edgepack.wire import digest, progress
from edgepack.wire.types import Artifact, ConvertJob, Dimension, Signature
from edgepack_targets.coreml import interface, ops, package, passes, program

_SUFFIX = ".mlpackage"


def convert(job: ConvertJob) -> Artifact:
    """The package made from the job's program, in the job's folder.

    Raises E217 for a model with state, E401 for operators without a counterpart, E402 when coremltools
    fails, E408 and E409 when program, package and signature do not agree, E410 for names, E411 for
    tensors and E412 for integers that Core ML does not have, E414 when coremltools changes the model.
    """
    ios = minimum_ios(job)
    signature, notes = interface.shown(job.signature, ios)
    progress.report("load the exported program")
    exported = program.load(job.model, job.signature)
    ops.register()
    passes.restrain()
    exported = program.lower(exported, ops.registered())
    program.prepare_inputs(exported)
    program.shape_scalars(exported)
    progress.report("convert with coremltools")
    model = _vendor(exported, signature, job.dimensions, job.recipe.precision, ios)
    del exported
    return finish(model, job, signature, notes)


def finish(model: Any, job: ConvertJob, signature: Signature, notes: tuple[str, ...]) -> Artifact:
    """The artifact of a coremltools model: renamed, checked and written by us.

    Raises E408 if the model does not show `signature`.
    """
    progress.report("write the package")
    spec = model.get_spec()
    weights = package.weight_file(spec, Path(model.weights_dir) if model.weights_dir else None)
    interface.rename(spec, signature)
    versions = {name: metadata.version(name) for name in ("coremltools", "torch", "numpy")}
    _normalize_metadata(spec, versions)
    interface.verify(spec, signature, job.dimensions)
    if job.recipe.precision == "fp16":
        notes = (*notes, *passes.kept_single(spec))
    out = Path(job.out) / f"{job.stem}{_SUFFIX}"
    package.write(spec, weights, out)
    return Artifact(
        file=out.name,
        sha256=digest.of_tree(out),
        bytes=digest.size_of_tree(out),
        format=f"ML Program, specification version {spec.specificationVersion}",
        signature=signature,
        versions=versions,
        notes=notes,
    )


def minimum_ios(job: ConvertJob) -> int:
    """The oldest iOS the job's artifact must run on, its first number."""
    return int(float(str(dict(job.recipe.options)["minimum_ios"])))


def _vendor(
    exported: Any,
    signature: Signature,
    dimensions: tuple[Dimension, ...],
    precision: str,
    ios: int,
) -> Any:
    """The coremltools model. Raises E402 with what coremltools said."""
    import coremltools as ct

    half = precision == "fp16"
    scratch = Path.cwd() / f"vendor{_SUFFIX}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        return ct.convert(
            exported,
            inputs=_input_types(exported, signature, dimensions),
            outputs=_output_types(signature),
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, f"iOS{ios}"),
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            pass_pipeline=passes.pipeline(half=half),
            skip_model_load=True,
            package_dir=str(scratch),
        )
    except program.VENDOR_ERRORS as error:
        raise program.failed("coremltools cannot convert the model", error) from error


def _input_types(
    exported: Any, signature: Signature, dimensions: tuple[Dimension, ...]
) -> list[Any]:
    """What coremltools shall make of each input; an axis of one name is one symbol everywhere."""
    import coremltools as ct
    import numpy as np

    ranges = {
        d.name: ct.RangeDim(
            lower_bound=d.minimum, upper_bound=d.maximum, default=d.fixed, symbol=f"axis_{d.name}"
        )
        for d in dimensions
    }
    types = []
    for node, tensor in zip(program.user_inputs(exported), signature.inputs, strict=True):
        is_bool = program.dtype_name(node.meta["val"].dtype) == "bool"
        types.append(
            ct.TensorType(
                shape=tuple(ranges[s] if isinstance(s, str) else s for s in tensor.shape),
                dtype=np.dtype(bool if is_bool else tensor.dtype).type,
            )
        )
    return types


def _output_types(signature: Signature) -> list[Any]:
    """The dtype coremltools shall give each output, so that half precision stays inside."""
    import coremltools as ct
    import numpy as np

    return [ct.TensorType(dtype=np.dtype(t.dtype).type) for t in signature.outputs]


def _normalize_metadata(spec: Any, versions: dict[str, str]) -> None:
    """Take the date out of a model's metadata, and what depends on the build of torch."""
    plain = {name: version.partition("+")[0] for name, version in versions.items()}
    stored = spec.description.metadata.userDefined
    for key in [k for k in stored if k.startswith("com.github.apple.coremltools.")]:
        del stored[key]
    stored["com.github.apple.coremltools.version"] = plain["coremltools"]
    stored["com.github.apple.coremltools.source"] = f"torch=={plain['torch']}"
    attributes = spec.mlProgram.attributes
    if "buildInfo" in attributes:
        del attributes["buildInfo"]
