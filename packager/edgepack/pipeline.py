"""The flow of a build, from a source model to a bundle of verified artifacts.

Read `build` top to bottom: it is the whole order. What each stage does is in `stages`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import Any

import msgspec

from edgepack import __version__, bundle, envs, registry, sampling, source_files, stages, tasks
from edgepack.app_plans import AppPlan
from edgepack.console import Console
from edgepack.envs import Environment
from edgepack.errors import EdgepackError
from edgepack.jobs import Jobs, Limits
from edgepack.plan import BuildPlan, EnvironmentPlan, ModelPlan
from edgepack.registry import Registered
from edgepack.stages import Build, Data, ExportedModel
from edgepack.store import Entry, Store
from edgepack.verdict import ParityReport, not_run
from edgepack.wire import digest
from edgepack.wire.types import Artifact, Evidence, Form, Recipe, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A variant that was converted, run and compared."""

    variant: Variant
    registered: Registered
    entry: Entry
    artifact: Artifact
    calibration: str | None
    environment: str
    parity: ParityReport
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One model with all its variants. b: the build, about this model."""

    b: Build
    model: ExportedModel
    data: Data
    made: list[Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a build came to. folder: where it was put, the dist folder or its -failed neighbour."""

    manifest: bundle.Manifest
    report: bundle.Report
    folder: Path
    seconds: float


def build(plan: BuildPlan, console: Console, slots: int, cache: Path | None = None) -> Outcome:
    """Everything: check, export, sample, convert, run, compare, render, bundle. Raises EdgepackError.

    slots: processes at once. cache: folder of the store, None for the user's.
    """
    started = time.monotonic()
    with _everything(plan, console, slots, cache) as (b, built):
        made = [m for one in built for m in one.made]
        apps = [] if _failed(made) else _apps(built)
        manifest = _manifest(built, apps)
        report = bundle.Report(
            schema=bundle.SCHEMA, plan=plan, stages=b.records, parity=[m.parity for m in made],
            warnings=b.warnings,
        )  # fmt: skip
        folder = _put(b, manifest, report, made, apps, failed=_failed(made))
    return Outcome(
        manifest=manifest, report=report, folder=folder, seconds=time.monotonic() - started
    )


def apps(
    plan: BuildPlan, console: Console, slots: int, put: Callable[[AppPlan, Path], None]
) -> list[ParityReport]:
    """The apps of a plan and nothing besides; the verdicts on what they carry. Raises EdgepackError.

    put: called with each app and the folder of its project, unless a verdict is "fail".
    """
    with _everything(_for_apps(plan), console, slots, None) as (_, built):
        made = [m for one in built for m in one.made]
        if not _failed(made):
            for wanted, entry in _apps(built):
                put(wanted, entry.path("app"))
        return [m.parity for m in made]


def _for_apps(plan: BuildPlan) -> BuildPlan:
    """The plan with the models and variants that its apps carry, and no other."""
    carried = {variant for app in plan.apps for variant in app.variants}
    models = [
        replace(model, variants=tuple(v for v in model.variants if v.id in carried))
        for model in plan.models
    ]
    models = [model for model in models if model.variants]
    targets = [registry.find(v.recipe.target).target for m in models for v in m.variants]
    names = {registry.environment_of_sources()[0].name}
    names |= {spec.name for target in targets for spec in (target.convert_in, target.run_in)}
    environments = tuple(e for e in plan.environments if e.name in names)
    return replace(plan, models=tuple(models), environments=environments)


@contextlib.contextmanager
def _everything(
    plan: BuildPlan, console: Console, slots: int, cache: Path | None
) -> Iterator[tuple[Build, list[Built]]]:
    """Every model exported, converted, run and compared."""
    digests = [source_files.check(model.model) for model in plan.models]
    for app in plan.apps:
        tasks.check_files(app.settings, Path(app.folder))
    environments = make_environments(plan, console)
    with opened(plan, environments, console, slots, cache) as b:
        yield (
            b,
            [
                _built(replace(b, plan=model), found)
                for model, found in zip(plan.models, digests, strict=True)
            ],
        )


@contextlib.contextmanager
def opened(
    plan: BuildPlan,
    environments: dict[str, Environment],
    console: Console,
    slots: int,
    cache: Path | None = None,
) -> Iterator[Build]:
    """What the stages share, for the length of one build; whatever ends it, no worker is left."""
    store = Store(cache or envs.cache_folder() / "store")
    limits = Limits(seconds=plan.job_seconds, memory_bytes=plan.memory_bytes)
    jobs = Jobs(store, limits, console.progress, envs.cache_folder() / "logs" / plan.name)
    pool = ThreadPoolExecutor(max_workers=32)
    try:
        yield Build(
            plan=plan.models[0], whole=plan, store=store, jobs=jobs, console=console, environments=environments,
            slots=slots, room=Semaphore(slots), pool=pool,
        )  # fmt: skip
    except BaseException:
        jobs.cancel()
        raise
    finally:
        jobs.close()
        pool.shutdown(wait=True, cancel_futures=True)
        console.close()
        store.close()


def make_environments(plan: BuildPlan, console: Console) -> dict[str, Environment]:
    """Every environment of the plan, made where missing. Raises E301-E305."""
    specs = {registry.environment_of_sources()[0].name: registry.environment_of_sources()}
    for registered in registry.targets().values():
        for spec in (registered.target.convert_in, registered.target.run_in):
            specs[spec.name] = (spec, registered.folder)
    return {e.name: _environment(e, *specs[e.name], console) for e in plan.environments}


def _environment(wanted: EnvironmentPlan, spec: Any, folder: Path, console: Console) -> Environment:
    if wanted.python:
        return envs.existing(spec, Path(wanted.python))
    requirements = Path(wanted.requirements) if wanted.requirements else None
    if requirements is not None and not requirements.is_file():
        raise EdgepackError(
            "E201", f"{requirements} does not exist", why="It is [model] requirements."
        )
    console.start(spec.name, "environment")
    try:
        return envs.ensure(spec, folder / spec.lock, console.say, requirements=requirements)
    finally:
        console.finish(spec.name)


def _built(b: Build, digests: dict[str, str]) -> Built:
    """Everything of one model."""
    model, data = model_and_data(b, digests)
    return Built(b=b, model=model, data=data, made=_all_variants(b, model, data))


def model_and_data(b: Build, digests: dict[str, str]) -> tuple[ExportedModel, Data]:
    """Export the model and fit the samples; what does not depend on each other runs side by side."""
    plans = {"calibration": b.plan.calibration, "validation": b.plan.validation}
    functions: dict[str, Future[Entry]] = {}
    for plan in plans.values():
        if plan is not None and plan.kind == "function" and plan.location not in functions:
            functions[plan.location] = b.pool.submit(sampling.sample_function, b, plan)
    examples = None
    if any(i.shape is None for i in b.plan.inputs) or (
        not b.plan.inputs and b.plan.model.kind != "exported"
    ):
        examples = sampling.examples(b, functions)
    model = stages.export(b, digests, examples, preload=b.slots > 1)
    raw = {location: future.result() for location, future in functions.items()}
    fitted: dict[tuple[str, Form], Entry] = {}
    for exported in model.result.exported:
        for role, plan in plans.items():
            if plan is not None and _needed(b, role, exported.form, model):
                fitted[role, exported.form] = sampling.fit(b, role, plan, exported, model, raw)
    evidence: Evidence = "synthetic" if b.plan.validation.kind == "synthetic" else "real"
    reference = {
        form: b.pool.submit(stages.reference, b, model, form, entry)
        for (role, form), entry in fitted.items()
        if role == "validation" and _compared(b)
    }
    return model, Data(fitted=fitted, reference=reference, evidence=evidence)


def _compared(b: Build) -> bool:
    """Whether anything is compared with the source model, or carries its outputs."""
    runs = [not registry.find(v.recipe.target).target.not_run for v in b.plan.variants]
    return any(runs) or bool(b.whole.apps)


def _needed(b: Build, role: str, form: Form, model: ExportedModel) -> bool:
    """Whether any variant uses this role's samples in this form."""
    for variant in b.plan.variants:
        registered = registry.find(variant.recipe.target)
        precision = registered.precision(variant.recipe.precision)
        if model.form(dynamic=registered.target.dynamic).form == form and (
            role == "validation" or precision.needs_calibration
        ):
            return True
    return False


def _all_variants(b: Build, model: ExportedModel, data: Data) -> list[Made]:
    """Every variant, side by side as far as there is room; a base that several derive from only once.

    Raises the first error; the others are warnings.
    """
    conversions: dict[str, Future[Entry]] = {}

    def conversion(recipe: Recipe) -> Future[Entry]:
        name = f"{recipe.target}-{recipe.precision}"
        if name not in conversions:
            base = registry.find(recipe.target).precision(recipe.precision).base
            based = conversion(_with_precision(recipe, base)) if base else None
            conversions[name] = b.pool.submit(stages.convert, b, recipe, model, data, based)
        return conversions[name]

    for variant in b.plan.variants:
        conversion(variant.recipe)
    finished = [
        b.pool.submit(_verified, b, v, model, data, conversion(v.recipe)) for v in b.plan.variants
    ]
    made, errors = [], []
    for future in finished:
        try:
            made.append(future.result())
        except EdgepackError as error:
            errors.append(error)
    for other in dict.fromkeys(str(e) for e in errors[1:] if str(e) != str(errors[0])):
        b.console.warn(f"also {other}")
    if errors:
        raise errors[0]
    return made


def _with_precision(recipe: Recipe, precision: str) -> Recipe:
    return Recipe(target=recipe.target, precision=precision, options=recipe.options)


def _verified(
    b: Build, variant: Variant, model: ExportedModel, data: Data, conversion: Future[Entry]
) -> Made:
    """The variant run on its runtime and compared with the source model."""
    entry = conversion.result()
    registered = registry.find(variant.recipe.target)
    artifact = msgspec.convert(entry.meta.value, Artifact)
    form = model.form(dynamic=registered.target.dynamic).form
    b.warnings += [f"{variant.id}: {note}" for note in artifact.notes]
    calibrated = registered.precision(variant.recipe.precision).needs_calibration
    return Made(
        variant=variant,
        registered=registered,
        entry=entry,
        artifact=artifact,
        calibration=data.sha256("calibration", form) if calibrated else None,
        environment=b.environments[registered.target.convert_in.name].digest,
        parity=_judged(b, variant, registered, entry, artifact, data, form),
        form=form,
    )


def _judged(
    b: Build, variant: Variant, registered: Registered, entry: Entry, artifact: Artifact, data: Data,
    form: Form,
) -> ParityReport:  # fmt: skip
    """The verdict on one variant, "not-run" where its target has no runtime here."""
    target = registered.target
    limits = b.plan.limits[variant.recipe.precision]
    if target.not_run:
        return not_run(variant.id, target.not_run, limits, data.evidence)
    samples = sampling.as_artifact_takes(
        b, variant.id, data.fitted["validation", form], artifact.signature
    )
    ran = stages.run(
        b,
        variant.id,
        registered,
        entry.path(artifact.file),
        artifact,
        samples,
        variant.running,
    )
    return stages.compared(
        b, variant.id, artifact, ran, data.reference[form].result(), limits, data.evidence
    )


def _failed(made: list[Made]) -> bool:
    return any(m.parity.verdict == "fail" for m in made)


def _apps(built: list[Built]) -> list[tuple[AppPlan, Entry]]:
    """The app projects of the plan, each around its variants."""
    by_id = {m.variant.id: (one, m) for one in built for m in one.made}
    rendered = []
    for wanted in built[0].b.whole.apps:
        models = [_carried(*by_id[variant]) for variant in wanted.variants]
        rendered.append((wanted, stages.app(built[0].b, wanted, models)))
    return rendered


def _carried(one: Built, m: Made) -> stages.Carried:
    return stages.Carried(
        b=one.b, variant=m.variant, entry=m.entry, artifact=m.artifact, report=m.parity,
        samples=one.data.fitted["validation", m.form],
        reference=one.data.reference[m.form].result(),
    )  # fmt: skip


def _manifest(built: list[Built], apps: list[tuple[AppPlan, Entry]]) -> bundle.Manifest:
    return bundle.Manifest(
        schema=bundle.SCHEMA,
        edgepack=__version__,
        name=built[0].b.whole.name,
        models=[_described(one) for one in built],
        artifacts=[_artifact(m, one.b.plan) for one in built for m in one.made],
        apps=[
            bundle.ManifestApp(
                platform=wanted.platform, task=wanted.task, variants=list(wanted.variants),
                path=f"apps/{wanted.platform}", sha256=entry.meta.value["sha256"],
            )
            for wanted, entry in apps
        ],
    )  # fmt: skip


def _described(one: Built) -> bundle.ManifestModel:
    plan, result = one.b.plan, one.model.result
    ranges = {name: (float(low), float(high)) for name, low, high in result.ranges}
    feeds = [
        bundle.Feed(
            name=i.name,
            image=i.image,
            audio=i.audio,
            pad=i.pad,
            range=i.range or ranges.get(i.name),
        )
        for i in plan.inputs
    ]
    return bundle.ManifestModel(
        name=plan.name,
        source=plan.source,
        sha256=one.model.sha256,
        signatures=[e.signature for e in result.exported],
        feeds=feeds,
    )


def _artifact(m: Made, plan: ModelPlan) -> bundle.ManifestArtifact:
    layouts = {i.name: i.layout for i in plan.inputs}
    inputs = tuple(
        replace(t, layout=layouts.get(t.name, t.layout)) for t in m.artifact.signature.inputs
    )
    return bundle.ManifestArtifact(
        model=plan.name,
        variant=m.variant.id,
        target=m.variant.recipe.target,
        precision=m.variant.recipe.precision,
        options=dict(m.variant.recipe.options),
        calibration=m.calibration,
        file=m.artifact.file,
        sha256=m.artifact.sha256,
        bytes=m.artifact.bytes,
        signature=replace(m.artifact.signature, inputs=inputs),
        versions=dict(sorted(m.artifact.versions.items())),
        environment=m.environment,
        notes=list(m.artifact.notes),
        parity=bundle.parity_of(m.parity),
    )


def _put(
    b: Build,
    manifest: bundle.Manifest,
    report: bundle.Report,
    made: list[Made],
    apps: list[tuple[AppPlan, Entry]],
    *,
    failed: bool,
) -> Path:
    """Put everything in place at once; a build that failed its parity goes beside the last good one."""
    dist, name = Path(b.whole.dist), b.whole.name
    final = dist / (f"{name}-failed" if failed else name)
    data = bundle.encode(manifest)
    report = msgspec.structs.replace(
        report, stages=bundle.with_changes(report.stages, bundle.read_report(final))
    )
    with bundle.locked(dist):
        if not _is_current(final, data, manifest):
            staged = bundle.staging(dist)
            for m in made:
                bundle.copy(m.entry.path(m.artifact.file), staged / m.artifact.file)
            for wanted, entry in apps:
                (staged / "apps").mkdir(exist_ok=True)
                bundle.copy(entry.path("app"), staged / "apps" / wanted.platform)
            bundle.write_aside(staged / bundle.MANIFEST, data)
            bundle.write_aside(staged / bundle.REPORT, bundle.encode(report))
            bundle.put_in_place(staged, final)
        else:
            bundle.write_aside(final / bundle.REPORT, bundle.encode(report))
        if not failed:
            bundle.remove(dist / f"{name}-failed")
    return final


def _is_current(final: Path, data: bytes, manifest: bundle.Manifest) -> bool:
    """Whether the folder already holds exactly what would be written."""
    parts = {p.path: p.sha256 for p in manifest.apps} | {
        a.file: a.sha256 for a in manifest.artifacts
    }
    try:
        if (final / bundle.MANIFEST).read_bytes() != data:
            return False
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(digest.of_tree, (final / part for part in parts)))
    except OSError:
        return False
    return found == list(parts.values())
