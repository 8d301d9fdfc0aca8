"""An artifact that edgepack may not have made, compared with its source model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgepack import bundle, pipeline, registry, sampling, source_files, stages
from edgepack.console import Console
from edgepack.errors import EdgepackError
from edgepack.jobs import Call
from edgepack.plan import LIMITS, BuildPlan, merged
from edgepack.stages import Build
from edgepack.verdict import ParityReport, not_run
from edgepack.wire import digest
from edgepack.wire.types import Artifact, Inspection, InspectJob, Signature, TensorSpec


def inspect(b: Build, path: Path, registered: registry.Registered) -> Inspection:
    """What an artifact says of itself. Raises the target's coded errors for damaged files."""
    call = Call(
        stage="inspect", label=path.name, entry=f"{registered.module}:inspect",
        argument=InspectJob(artifact=str(path.absolute())),
        environment=b.environments[registered.target.run_in.name],
        packages=registry.packages(registered.module),
    )  # fmt: skip
    return msgspec.convert(b.run(call).value, Inspection)


def validate(
    plan: BuildPlan, path: Path, precision: str | None, console: Console, slots: int,
    trace: Path | None = None,
) -> ParityReport:  # fmt: skip
    """Run the artifact on the plan's validation samples and judge it by the limits of its precision.

    plan: of the source model, with one variant of the artifact's target. precision: None to take what the
    artifact says of itself. trace: folder for the result of every operation on the first sample.
    Raises E106, E117 for a target that cannot trace, E506 when inputs or outputs cannot be bound.
    """
    (one,) = plan.models
    (variant,) = one.variants
    registered = registry.find(variant.recipe.target)
    if trace is not None and not registered.target.traces:
        able = ", ".join(r.target.suffix for r in registry.targets().values() if r.target.traces)
        raise EdgepackError(
            "E117", f"a {registered.target.suffix} cannot be traced", why=f"Only {able} can be."
        )
    digests = source_files.check(one.model)
    environments = pipeline.make_environments(plan, console)
    with pipeline.opened(plan, environments, console, slots) as b:
        model, data = pipeline.model_and_data(b, digests)
        exported = model.form(dynamic=registered.target.dynamic)
        if registered.target.not_run:
            limits = merged(LIMITS[precision or variant.recipe.precision], None)
            return not_run(path.name, registered.target.not_run, limits, data.evidence)
        found = inspect(b, path, registered)
        name = precision or found.precision
        if name not in one.limits and name not in LIMITS:
            raise EdgepackError(
                "E106",
                f"the precision of {path.name} is not one edgepack has limits for",
                why=f"It looks like {name!r}.",
                help=f"Say which limits apply: --precision {variant.recipe.precision}.",
            )
        limits = one.limits.get(name) or LIMITS[name]
        artifact = Artifact(
            file=path.name, sha256=digest.of_tree(path), bytes=digest.size_of_tree(path),
            format=found.format, signature=bind(exported.signature, found.signature, path.name), versions={},
        )  # fmt: skip
        samples = sampling.as_artifact_takes(
            b, path.name, data.fitted["validation", exported.form], artifact.signature
        )
        ran = stages.run(
            b, path.name, registered, path.absolute(), artifact, samples, variant.running,
            trace=trace is not None,
        )  # fmt: skip
        if trace is not None:
            bundle.copy(ran.path("trace"), trace)
        reference = data.reference[exported.form].result()
        return stages.compared(b, path.name, artifact, ran, reference, limits, data.evidence)


def bind(model: Signature, artifact: Signature, file: str) -> Signature:
    """The artifact's signature in the order of the model's: by name where names agree, else by position.

    Raises E506 when counts differ, or shapes bound by position do not fit.
    """
    return Signature(
        name=artifact.name,
        inputs=_bound("input", model.inputs, artifact.inputs, file),
        outputs=_bound("output", model.outputs, artifact.outputs, file),
    )


def _bound(
    what: str, model: tuple[TensorSpec, ...], artifact: tuple[TensorSpec, ...], file: str
) -> tuple[TensorSpec, ...]:
    if len(model) != len(artifact):
        raise EdgepackError(
            "E506",
            f"{file} has {len(artifact)} {what}s, the model {len(model)}",
            why=f"The artifact's: {_names(artifact)}. The model's: {_names(model)}.",
            help="Compare it with the model it was made from.",
        )
    by_name = {t.name: t for t in artifact}
    chosen = (
        tuple(by_name[t.name] for t in model)
        if by_name.keys() == {t.name for t in model}
        else artifact
    )
    for wanted, found in zip(model, chosen, strict=True):
        fits = len(wanted.shape) == len(found.shape) and all(
            a == b or isinstance(a, str) or isinstance(b, str)
            for a, b in zip(wanted.shape, found.shape, strict=True)
        )
        if not fits:
            raise EdgepackError(
                "E506",
                f"{what} {found.name!r} of {file} has shape {list(found.shape)}, the model's "
                f"{wanted.name!r} has {list(wanted.shape)}",
                help="Compare it with the model it was made from; give the same shapes with --input.",
            )
    return tuple(_real(w, f) for w, f in zip(model, chosen, strict=True))


def _real(wanted: TensorSpec, found: TensorSpec) -> TensorSpec:
    """A quantized input or output is fed and read as the real numbers it stands for."""
    if found.quantization is not None and wanted.dtype.startswith("float"):
        return TensorSpec(
            name=found.name, dtype="float32", shape=found.shape, layout=found.layout,
            quantization=found.quantization,
        )  # fmt: skip
    return found


def _names(tensors: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in tensors)
