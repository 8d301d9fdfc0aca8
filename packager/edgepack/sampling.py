"""The stages that make samples: the user's function, files, fitting to a form of the model.

They are stages like those of `stages`, cached by all that goes into them.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from edgepack import registry, stages
from edgepack.config import Input
from edgepack.errors import EdgepackError
from edgepack.jobs import Call, Done
from edgepack.plan import SamplesPlan
from edgepack.stages import Build, ExportedModel
from edgepack.store import Entry
from edgepack.wire import digest
from edgepack.wire.types import Exported, SamplesJob, SamplesResult, Signature

SAMPLES = "edgepack_targets.sources.torch:samples"


def sample_function(b: Build, plan: SamplesPlan) -> Entry:
    """Run the user's sample function once per location and limit."""
    location, _, function = plan.location.rpartition(":")
    path = Path(location)
    if not path.is_file():
        raise EdgepackError("E201", f"{location} does not exist", why="It is named under [data].")
    environment = b.environments["torch"]
    names = tuple(i.name for i in b.plan.inputs)
    _, folder = registry.environment_of_sources()

    def make(out: Path) -> tuple[SamplesResult, Done, dict[str, str]]:
        job = SamplesJob(
            location=location, function=function, project=b.plan.model.project or str(path.parent),
            names=names, limit=plan.cases, out=str(out / "samples.npz"),
        )  # fmt: skip
        call = Call(
            stage="samples", label=f"{path.name}:{function}", entry=SAMPLES, argument=job,
            environment=environment, packages=registry.packages("edgepack_targets"), user_code=True,
            allow_pickle=b.plan.model.allow_pickle,
        )  # fmt: skip
        done = b.run(call)
        result = msgspec.convert(done.value, SamplesResult)
        return result, done, dict(result.dependencies)

    parts = {
        "function": function, "file": digest.of_file(path), "cases": plan.cases, "names": names,
        "environment": environment.digest, "code": registry.code_digest(folder),
    }  # fmt: skip
    return stages.stage(b, "samples", f"{path.name}:{function}", parts, make)


def examples(b: Build, functions: dict[str, Future[Entry]]) -> Path | None:
    """A .npz whose first case shows the shapes of the model's inputs, None when no samples can."""
    for plan in (b.plan.validation, b.plan.calibration):
        if plan is None or plan.kind == "synthetic":
            continue
        if plan.kind == "function":
            return functions[plan.location].result().path("samples.npz")
        from edgepack import samples
        from edgepack.wire import tensors

        one = SamplesPlan(kind="files", location=plan.location, cases=1)
        path = b.store.scratch("examples") / "examples.npz"
        tensors.save(path, samples.read(one, b.plan.inputs, None))
        return path
    return None


def fit(
    b: Build, role: str, plan: SamplesPlan, exported: Exported, model: ExportedModel,
    raw: dict[str, Entry],
) -> Entry:  # fmt: skip
    """The samples of one role, fitted to one form of the model."""
    if plan.kind == "files":
        from edgepack import samples

        content: Any = [(p.name, digest.of_file(p)) for p in samples.files_of(plan)]
    else:
        content = raw[plan.location].meta.files if plan.kind == "function" else model.result.ranges

    def make(out: Path) -> tuple[dict[str, int], None, dict[str, str]]:
        from edgepack import samples
        from edgepack.wire import tensors

        inputs: tuple[Input, ...] = b.plan.inputs
        dimensions = model.result.dimensions if exported.form == "dynamic" else ()
        if plan.kind == "synthetic":
            cases = samples.synthetic(
                exported.signature, inputs, model.result.ranges, dimensions, plan.cases
            )
        elif plan.kind == "function":
            cases = samples.spread(
                list(tensors.load(raw[plan.location].path("samples.npz"))), plan.cases
            )
        else:
            cases = samples.read(plan, inputs, exported.signature)
        cases = samples.fit(cases, exported.signature, inputs, dimensions)
        tensors.save(out / "samples.npz", cases)
        return {"cases": len(cases)}, None, {}

    parts = {
        "kind": plan.kind, "content": content, "cases": plan.cases, "inputs": b.plan.inputs,
        "signature": exported.signature, "dimensions": model.result.dimensions, "form": exported.form,
    }  # fmt: skip
    label = role if len(model.result.exported) == 1 else f"{role} {exported.form}"
    return stages.stage(b, "samples", label, parts, make)


def as_artifact_takes(b: Build, label: str, fitted: Entry, signature: Signature) -> Entry:
    """The samples in the dtypes of an artifact, where its format could not keep the model's."""
    kept = fitted.meta.parts["signature"]["inputs"]
    if [t["dtype"] for t in kept] == [t.dtype for t in signature.inputs]:
        return fitted

    def make(out: Path) -> tuple[dict[str, int], None, dict[str, str]]:
        from edgepack import samples
        from edgepack.wire import tensors

        cases = samples.fit(list(tensors.load(fitted.path("samples.npz"))), signature, (), ())
        tensors.save(out / "samples.npz", cases)
        return {"cases": len(cases)}, None, {}

    parts = {"samples": fitted.meta.files, "signature": signature}
    return stages.stage(b, "samples", f"{label} dtypes", parts, make)
