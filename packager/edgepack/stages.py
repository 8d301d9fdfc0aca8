"""Each stage of a build: what goes into it, what it makes, where it runs. All are cached.

A stage is a function that names its inputs; the store keeps what it made under their digest. The order
of the stages is `pipeline`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import msgspec

from edgepack import bundle, registry
from edgepack.app_plans import AppPlan
from edgepack.config import ParityLimits
from edgepack.console import Console
from edgepack.envs import Environment
from edgepack.jobs import Call, Done, Jobs
from edgepack.plan import BuildPlan, ModelPlan, input_specs
from edgepack.registry import Registered
from edgepack.store import Entry, Meta, Store
from edgepack.verdict import GOLDEN_CASES, ParityReport
from edgepack.wire import digest
from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    Evidence,
    Exported,
    ExportJob,
    ExportResult,
    Form,
    Recipe,
    ReferenceJob,
    RunJob,
    RunResult,
    Scalar,
    Variant,
)

if TYPE_CHECKING:
    from edgepack.apps import Packed

SEED = 0
"""Every random source starts from it; part of every key."""

EXPORT = "edgepack_targets.sources.torch:export"
REFERENCE = "edgepack_targets.sources.torch:reference"


@dataclass(slots=True)
class Build:
    """What the stages of one build share: where they run, where they tell, what they recorded.

    plan: of the model that a stage is about; whole: of the build. slots: processes at once. room: what is left of them.
    """

    plan: ModelPlan
    whole: BuildPlan
    store: Store
    jobs: Jobs
    console: Console
    environments: dict[str, Environment]
    slots: int
    room: Semaphore
    pool: ThreadPoolExecutor
    records: list[bundle.StageRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def run(self, call: Call) -> Done:
        """Do a job when there is room for one more process."""
        with self.room:
            self.console.start(call.label, call.stage)
            try:
                return self.jobs.run(call)
            finally:
                self.console.finish(call.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """The exported source model: identity changes with anything that can change it."""

    sha256: str
    identity: str
    entry: Entry
    result: ExportResult

    def form(self, *, dynamic: bool) -> Exported:
        """The dynamic form where it exists and is wanted, else the fixed one."""
        forms = {e.form: e for e in self.result.exported}
        return forms.get("dynamic", forms.get("fixed")) if dynamic else forms["fixed"]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Samples fitted to the model, by role and form; futures, since stages overlap.

    evidence: what the validation samples are.
    """

    fitted: dict[tuple[str, Form], Entry]
    reference: dict[Form, Future[Entry]]
    evidence: Evidence

    def path(self, role: str, form: Form) -> Path:
        """The .npz of one role and form."""
        return self.fitted[role, form].path("samples.npz")

    def sha256(self, role: str, form: Form) -> str:
        """Digest of that .npz."""
        return self.fitted[role, form].meta.files["samples.npz"]


def stage(
    b: Build,
    stage: str,
    label: str,
    parts: dict[str, Any],
    make: Callable[[Path], tuple[Any, Done | None, dict[str, str]]],
) -> Entry:
    """The stored result for `parts`, or what `make` writes into a folder and returns.

    make: folder to (value, job done or None, guards).
    """
    parts = {"stage": stage, "seed": SEED, **msgspec.to_builtins(parts)}
    key = digest.of_value(parts)
    started = time.monotonic()
    entry = b.store.get(key)
    cached = entry is not None
    if entry is None:
        folder = b.store.scratch(stage)
        value, done, guards = make(folder)
        meta = Meta(
            stage=stage,
            parts=parts,
            value=msgspec.to_builtins(value),
            files={},
            guards=guards,
            seconds=done.seconds if done else time.monotonic() - started,
            peak_rss_bytes=done.peak_rss_bytes if done else 0,
        )
        entry = b.store.put(key, folder, meta)
    seconds = time.monotonic() - started
    size = entry.meta.bytes if stage in ("export", "convert") else None
    b.console.stage(stage, label, seconds, size, cached=cached)
    b.records.append(
        bundle.StageRecord(
            stage=stage, variant=label, seconds=round(seconds, 3),
            peak_rss_bytes=entry.meta.peak_rss_bytes, cached=cached, key=key, parts=parts,
        )
    )  # fmt: skip
    return entry


def export(
    b: Build, digests: dict[str, str], examples: Path | None, *, preload: bool
) -> ExportedModel:
    """The source model as torch.export programs. preload: start the first converter meanwhile."""
    plan = b.plan
    environment = b.environments["torch"]
    targets = [registry.find(v.recipe.target) for v in plan.variants]
    forms: list[Form] = ["fixed"] if any(not t.target.dynamic for t in targets) else []
    forms += ["dynamic"] if any(t.target.dynamic for t in targets) else []
    _, folder = registry.environment_of_sources()

    def make(out: Path) -> tuple[ExportResult, Done, dict[str, str]]:
        first = targets[0].target
        if preload:
            b.jobs.preload(b.environments[first.convert_in.name], first.preload)
        job = ExportJob(
            source=plan.model, inputs=input_specs(plan.inputs), outputs=plan.outputs,
            dimensions=plan.dimensions, forms=tuple(forms), examples=str(examples or ""), out=str(out),
        )  # fmt: skip
        call = Call(
            stage="export", label=plan.name, entry=EXPORT, argument=job, environment=environment,
            packages=registry.packages("edgepack_targets"), user_code=True,
            allow_pickle=plan.model.allow_pickle,
        )  # fmt: skip
        done = b.run(call)
        result = msgspec.convert(done.value, ExportResult)
        return result, done, dict(result.dependencies)

    parts = {
        "model": digests, "kind": plan.model.kind, "factory": plan.model.factory,
        "inputs": input_specs(plan.inputs), "outputs": plan.outputs, "dimensions": plan.dimensions,
        "forms": forms, "examples": digest.of_file(examples) if examples else None,
        "environment": environment.digest, "code": registry.code_digest(folder),
    }  # fmt: skip
    entry = stage(b, "export", plan.name, parts, make)
    result = msgspec.convert(entry.meta.value, ExportResult)
    b.warnings += result.warnings
    identity = digest.of_value([entry.key, sorted(entry.meta.guards.values())])
    return ExportedModel(
        sha256=digest.of_value(digests), identity=identity, entry=entry, result=result
    )


def reference(b: Build, model: ExportedModel, form: Form, samples: Entry) -> Entry:
    """The source model's own outputs on the validation samples."""
    environment = b.environments["torch"]
    exported = next(e for e in model.result.exported if e.form == form)
    _, folder = registry.environment_of_sources()

    def make(out: Path) -> tuple[dict[str, int], Done, dict[str, str]]:
        job = ReferenceJob(
            source=b.plan.model, signature=exported.signature,
            samples=str(samples.path("samples.npz")), out=str(out / "outputs.npz"),
        )  # fmt: skip
        call = Call(
            stage="reference", label=f"{b.plan.name} {form}", entry=REFERENCE, argument=job,
            environment=environment, packages=registry.packages("edgepack_targets"), user_code=True,
            allow_pickle=b.plan.model.allow_pickle,
        )  # fmt: skip
        done = b.run(call)
        return {"cases": done.value}, done, model.entry.meta.guards

    parts = {
        "model": model.identity, "samples": samples.meta.files["samples.npz"],
        "signature": exported.signature, "environment": environment.digest,
        "code": registry.code_digest(folder),
    }  # fmt: skip
    label = b.plan.name if len(model.result.exported) == 1 else f"{b.plan.name} {form}"
    return stage(b, "reference", label, parts, make)


def convert(
    b: Build, recipe: Recipe, model: ExportedModel, data: Data, based: Future[Entry] | None
) -> Entry:
    """One artifact, made from the exported model or from the artifact of its base precision."""
    registered = registry.find(recipe.target)
    target = registered.target
    exported = model.form(dynamic=target.dynamic)
    environment = b.environments[target.convert_in.name]
    calibrated = registered.precision(recipe.precision).needs_calibration
    base = based.result() if based else None
    label = f"{b.plan.prefix}{recipe.target}-{recipe.precision}"
    calibration = data.sha256("calibration", exported.form) if calibrated else None
    recipe = Recipe(
        target=recipe.target,
        precision=recipe.precision,
        options=recipe.options,
        calibration=calibration,
    )

    def make(out: Path) -> tuple[Artifact, Done, dict[str, str]]:
        job = ConvertJob(
            model=str(model.entry.path(exported.file)), signature=exported.signature,
            dimensions=model.result.dimensions if exported.form == "dynamic" else (),
            recipe=recipe,
            base=str(base.path(base.meta.value["file"])) if base else "",
            calibration=str(data.path("calibration", exported.form)) if calibrated else "",
            stem=f"{b.plan.name}-{recipe.precision}", out=str(out),
        )  # fmt: skip
        call = Call(
            stage="convert", label=label, entry=f"{registered.module}:convert", argument=job,
            environment=environment, packages=registry.packages(registered.module),
        )  # fmt: skip
        done = b.run(call)
        return msgspec.convert(done.value, Artifact), done, {}

    parts = {
        "model": model.identity, "signature": exported.signature, "form": exported.form,
        "dimensions": model.result.dimensions, "recipe": recipe, "stem": b.plan.name,
        "base": base.meta.value["sha256"] if base else None,
        "environment": environment.digest, "code": registry.code_digest(registered.folder),
    }  # fmt: skip
    return stage(b, "convert", label, parts, make)


def compared(
    b: Build, label: str, artifact: Artifact, ran: Entry, reference: Entry, limits: ParityLimits,
    evidence: Evidence,
) -> ParityReport:  # fmt: skip
    """The verdict on outputs that were run, against the source model's."""
    result = msgspec.convert(ran.meta.value, RunResult)

    def make(_: Path) -> tuple[ParityReport, None, dict[str, str]]:
        from edgepack import parity
        from edgepack.wire import tensors

        names = [t.name for t in artifact.signature.outputs]
        tensors_compared = parity.compare(
            names,
            tensors.load(reference.path("outputs.npz")),
            tensors.load(ran.path("outputs.npz")),
        )
        report = parity.judge(
            label, tensors_compared, limits, runtime=result.runtime, fidelity=result.fidelity,
            evidence=evidence, cases=result.cases,
        )  # fmt: skip
        one = tensors.load(reference.path("outputs.npz"))
        other = tensors.load(ran.path("outputs.npz"))
        good = parity.passing(names, one, other, limits, GOLDEN_CASES)
        heard = {"readings": list(result.readings), "notes": list(result.notes)}
        return msgspec.structs.replace(report, golden=good, **heard), None, {}

    parts = {
        "outputs": ran.meta.files["outputs.npz"], "reference": reference.meta.files["outputs.npz"],
        "variant": label, "limits": limits, "evidence": evidence, "runtime": result,
        "signature": artifact.signature, "code": registry.code_digest(Path(__file__).parent),
    }  # fmt: skip
    return msgspec.convert(stage(b, "compare", label, parts, make).meta.value, ParityReport)


def run(
    b: Build, label: str, registered: Registered, path: Path, artifact: Artifact, samples: Entry,
    options: tuple[tuple[str, Scalar], ...], *, trace: bool = False,
) -> Entry:  # fmt: skip
    """The artifact's outputs on samples; with `trace`, every operation's result in its folder `trace`."""
    environment = b.environments[registered.target.run_in.name]

    def make(out: Path) -> tuple[RunResult, Done, dict[str, str]]:
        job = RunJob(
            artifact=str(path), signature=artifact.signature,
            samples=str(samples.path("samples.npz")), out=str(out / "outputs.npz"),
            options=options, trace=str(out / "trace") if trace else "",
        )  # fmt: skip
        call = Call(
            stage="run", label=label, entry=f"{registered.module}:run", argument=job,
            environment=environment, packages=registry.packages(registered.module),
        )  # fmt: skip
        done = b.run(call)
        return msgspec.convert(done.value, RunResult), done, {}

    parts = {
        "artifact": artifact.sha256, "signature": artifact.signature,
        "samples": samples.meta.files, "environment": environment.digest, "options": options,
        "trace": trace, "code": registry.running_digest(registered),
    }  # fmt: skip
    return stage(b, "run", label, parts, make)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A model that an app carries. report: its verdict; samples, reference: what it was judged by."""

    b: Build
    variant: Variant
    entry: Entry
    artifact: Artifact
    report: ParityReport
    samples: Entry
    reference: Entry

    @property
    def limits(self) -> dict[str, float]:
        """The limits that the artifact was held to."""
        given = msgspec.to_builtins(self.b.plan.limits[self.variant.recipe.precision])
        return {metric: limit for metric, limit in given.items() if limit is not None}

    @property
    def chosen(self) -> list[int]:
        """Numbers of the cases that become golden cases."""
        return self.report.golden or list(range(GOLDEN_CASES))

    @property
    def peaks(self) -> list[float]:
        """Largest absolute reference number of each output, [] when nothing was run."""
        return [t.peak for t in self.report.tensors]


def app(b: Build, wanted: AppPlan, models: Sequence[Carried]) -> Entry:
    """One app project around its models, every file of it parsed. Raises what `tasks.prepare` raises."""
    import edgepack_templates
    from edgepack import tasks

    task = tasks.prepare(
        wanted.settings, Path(wanted.folder),
        {m.b.plan.name: tasks.Fitted(m.b.plan.name, m.artifact.signature, m.b.plan.inputs) for m in models},
    )  # fmt: skip

    def make(out: Path) -> tuple[dict[str, Any], None, dict[str, str]]:
        from edgepack import appcheck, apps

        folder = out / "app"
        apps.render(
            apps.App(platform=wanted.platform, id=wanted.id, name=wanted.name),
            [_packed(m) for m in models], task, folder,
        )  # fmt: skip
        checked = appcheck.check(folder)
        return {"sha256": digest.of_tree(folder), "files": len(checked)}, None, {}

    parts = {
        "app": {"platform": wanted.platform, "id": wanted.id, "name": wanted.name},
        "task": task.value, "files": {n: digest.of_bytes(d) for n, d in task.files.items()},
        "models": [
            {
                "name": m.b.plan.name, "variant": m.variant, "artifact": m.artifact,
                "limits": m.limits, "samples": m.samples.meta.files,
                "reference": m.reference.meta.files, "chosen": m.chosen, "peaks": m.peaks,
            }
            for m in models
        ],
        "templates": registry.tree_digest(Path(str(edgepack_templates.__file__)).parent),
        "code": registry.code_digest(Path(__file__).parent),
    }  # fmt: skip
    return stage(b, "app", f"{wanted.platform} {wanted.task}", parts, make)


def _packed(m: Carried) -> Packed:
    """The model as the renderer takes it."""
    from edgepack import apps, golden_cases
    from edgepack.wire import tensors

    inputs = tensors.load(m.samples.path("samples.npz"))
    outputs = tensors.load(m.reference.path("outputs.npz"))
    cases = [
        golden_cases.GoldenCase(inputs=one, outputs=other)
        for number, (one, other) in enumerate(zip(inputs, outputs, strict=True))
        if number in m.chosen
    ]
    return apps.Packed(
        name=m.b.plan.name, variant=m.variant.id, recipe=m.variant.recipe, artifact=m.artifact,
        path=m.entry.path(m.artifact.file), golden=cases, limits=m.limits, peaks=m.peaks,
    )  # fmt: skip
