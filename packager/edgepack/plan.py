"""Config (as typed) becomes BuildPlan (resolved): every default filled in, every name checked. Pure.

What `edgepack build --dry-run` prints is exactly this value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgepack import app_plans, registry
from edgepack.app_plans import AppPlan
from edgepack.config import (
    DimensionRange,
    Input,
    Loaded,
    ParityLimits,
    problem,
    refuse_odd_values,
    suggestion,
)
from edgepack.errors import EdgepackError
from edgepack.wire.types import Dimension, InputSpec, Recipe, Scalar, SourceModel, Variant

DEFAULT_PLATFORMS = ("android", "ios")

SYNTHETIC_CASES = 8

SUFFIXES = {
    ".pt2": "exported",
    ".pt": "torchscript",
    ".ts": "torchscript",
    ".torchscript": "torchscript",
}
NOT_YET = {
    ".onnx": "ONNX",
    ".keras": "Keras",
    ".h5": "Keras",
    ".pb": "TensorFlow",
    ".tflite": "LiteRT",
}

LIMITS = {
    "fp32": ParityLimits(max_abs=1e-5, min_cosine=0.999999),
    "fp16": ParityLimits(min_psnr_db=50.0, min_cosine=0.9999),
    "int8": ParityLimits(min_sqnr_db=20.0, min_argmax_agreement=0.95),
    "int8-weights": ParityLimits(min_sqnr_db=20.0, min_argmax_agreement=0.95),
}
"""What an artifact must reach by precision unless [parity.PRECISION] says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesPlan:
    """Where samples come from. kind: "files", "function" or "synthetic". location: absolute."""

    kind: str
    location: str
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPlan:
    """An environment the build needs. python: an existing interpreter, "" for one that edgepack makes.

    requirements: the user's file of packages to install as well, "" for none.
    """

    name: str
    python: str = ""
    requirements: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What will be made of one model. Paths are absolute; everything else is the same on every machine.

    source: as the user named it. prefix: of its variants' ids, "" for the only model of a build.
    """

    name: str
    source: str
    prefix: str
    model: SourceModel
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    variants: tuple[Variant, ...]
    calibration: SamplesPlan | None
    validation: SamplesPlan
    limits: dict[str, ParityLimits]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """All that a build will do."""

    name: str
    models: tuple[ModelPlan, ...]
    apps: tuple[AppPlan, ...]
    environments: tuple[EnvironmentPlan, ...]
    allow: tuple[str, ...]
    job_seconds: float
    memory_bytes: int
    dist: str


def resolve(loaded: Loaded, dist: Path) -> BuildPlan:
    """The plan of a config. Raises E105-E113 for names, precisions, options and dimensions that do not fit."""
    refuse_odd_values(loaded)
    config = loaded.config
    models = tuple(_model(one) for one in loaded.each())
    _refuse_shared_names(loaded, models)
    name = config.name or (models[0].name if len(models) == 1 else _slug(loaded.folder.name))
    variants = tuple(v for model in models for v in model.variants)
    return BuildPlan(
        name=name,
        models=models,
        apps=app_plans.resolve(
            loaded, name, [app_plans.Offered(m.name, m.prefix, m.variants) for m in models]
        ),
        environments=_environments(loaded, variants),
        allow=tuple(config.allow),
        job_seconds=config.limits.job_seconds,
        memory_bytes=config.limits.memory_bytes,
        dist=str(dist.absolute()),
    )


def _refuse_shared_names(loaded: Loaded, models: tuple[ModelPlan, ...]) -> None:
    """E103 for two models of one name. Many a disk takes capitals for small letters."""
    names = [model.name.casefold() for model in models]
    for one, name in zip(loaded.each(), names, strict=True):
        if names.index(name) != (one.at or 0):
            raise problem(
                one, "E103", f"two models are called {one.model.name or name!r}", ("model", "name"),
                why="is the name of another one too", help="Give each a name of its own.",
            )  # fmt: skip


def _model(loaded: Loaded) -> ModelPlan:
    """The plan of the model that `loaded` is about."""
    config = loaded.config
    source = _source(loaded)
    name = loaded.model.name or _slug(Path(source.location).stem)
    prefix = "" if loaded.at is None else f"{name}."
    variants = _variants(loaded, prefix)
    calibration = _samples(loaded, "calibration", config.data.calibration_cases)
    _refuse_uncalibrated(variants, calibration)
    validation = _samples(loaded, "validation", config.data.validation_cases)
    if validation is None:
        validation = calibration or SamplesPlan(
            kind="synthetic", location="", cases=SYNTHETIC_CASES
        )
    return ModelPlan(
        name=name,
        source=loaded.model.source,
        prefix=prefix,
        model=source,
        inputs=tuple(loaded.model.inputs),
        outputs=tuple(o.name for o in loaded.model.outputs),
        dimensions=_dimensions(loaded),
        variants=variants,
        calibration=calibration,
        validation=validation,
        limits={
            p: merged(LIMITS.get(p, LIMITS["int8"]), config.parity.get(p))
            for p in sorted({v.recipe.precision for v in variants})
        },
    )


def merged(default: ParityLimits, given: ParityLimits | None) -> ParityLimits:
    """The default limits with those the user gave in their place."""
    if given is None:
        return default
    fields = {
        f: getattr(given, f) for f in given.__struct_fields__ if getattr(given, f) is not None
    }
    return msgspec.structs.replace(default, **fields)


def input_specs(inputs: tuple[Input, ...]) -> tuple[InputSpec, ...]:
    """The inputs as workers need them."""
    return tuple(
        InputSpec(
            name=i.name,
            dtype=i.dtype or "",
            shape=tuple(i.shape) if i.shape is not None else None,
            range=i.range,
        )
        for i in inputs
    )


def _source(loaded: Loaded) -> SourceModel:
    model = loaded.model
    text, _, factory = (
        model.source.rpartition(":") if ".py:" in model.source else (model.source, "", "")
    )
    path = Path(text)
    location = str((loaded.folder / path).absolute())
    files = tuple(str((loaded.folder / f).absolute()) for f in model.files)
    if factory:
        return SourceModel(
            kind="factory",
            location=location,
            factory=factory,
            project=str(loaded.folder.absolute()),
            files=files,
            allow_pickle=model.allow_pickle,
        )
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        helps = "edgepack reads file.py:factory, .pt2 (torch.export.save) and .pt (TorchScript)."
        if path.suffix == ".py":
            helps = f"Name the function that makes the model: {text}:make_model"
        what = NOT_YET.get(path.suffix.lower())
        message = (
            f"{what} models are not read yet" if what else f"{text} is no model edgepack knows"
        )
        raise problem(
            loaded, "E204", message, ("model", "source"), why="as the model's source", help=helps
        )
    return SourceModel(kind=kind, location=location, files=files, allow_pickle=model.allow_pickle)  # type: ignore[arg-type]


def _variants(loaded: Loaded, prefix: str) -> tuple[Variant, ...]:
    """One variant per target and precision, in the order they were asked for. prefix: of their ids."""
    chosen = loaded.config.targets or {registry.find(p).target.name: {} for p in DEFAULT_PLATFORMS}
    found: dict[str, Variant] = {}
    own = {
        _target(loaded, name, ("model", "precisions", name)).target.name: name
        for name in loaded.model.precisions
    }
    for name, settings in chosen.items():
        place = ("targets", name)
        registered = _target(loaded, name, place)
        options = _options(loaded, registered, settings, place)
        precisions = settings.get("precisions", list(registered.target.default_precisions))
        listed: tuple[str, ...] = (*place, "precisions")
        if typed := own.get(registered.target.name):
            precisions = loaded.model.precisions[typed]
            listed = ("model", "precisions", typed)
        named = isinstance(precisions, list) and all(isinstance(p, str) for p in precisions)
        if not named or not precisions:
            raise problem(
                loaded, "E103", "precisions must be a list", listed,
                why="expected a list of names", help='precisions = ["fp32"]',
            )  # fmt: skip
        for position, precision in enumerate(precisions):
            try:
                registered.precision(precision)
            except EdgepackError as error:
                raise problem(
                    loaded, error.code, error.message, (*listed, position),
                    why=error.why, help=error.help,
                ) from error  # fmt: skip
            recipe = Recipe(
                target=registered.target.name, precision=precision, options=options["convert"]
            )
            variant = Variant(
                id=f"{prefix}{registered.target.name}-{precision}",
                recipe=recipe,
                running=options["run"],
            )
            found[variant.id] = variant
    return tuple(found.values())


def _target(loaded: Loaded, name: str, place: tuple[str, ...]) -> registry.Registered:
    """The target of that name or platform. Raises E105 at its place in the file."""
    try:
        return registry.find(name)
    except EdgepackError as error:
        raise problem(
            loaded, error.code, error.message, place, why=error.why, help=error.help
        ) from error


def _options(
    loaded: Loaded,
    registered: registry.Registered,
    settings: dict[str, Any],
    place: tuple[str, ...],
) -> dict[str, tuple[tuple[str, Scalar], ...]]:
    """The target's options by stage, defaults filled in. Raises E102 for an unknown one, E103 for a wrong value."""
    known = {o.name: o for o in registered.target.options}
    for name in settings:
        if name != "precisions" and name not in known:
            names = ["precisions", *known]
            raise problem(
                loaded, "E102", f"unknown key {name!r} in {'.'.join(place)}", (*place, name, ""),
                why=f"the {registered.target.name} target does not know this key",
                help=suggestion(name, names) or f"Known keys: {', '.join(names)}.",
            )  # fmt: skip
    values: dict[str, Scalar] = {}
    for name, option in known.items():
        value = settings.get(name, option.default)
        fits = type(value) is type(option.default) and (
            not option.choices or value in option.choices
        )
        if not fits:
            allowed = [str(c) for c in option.choices]
            raise problem(
                loaded, "E103", f"wrong value for {'.'.join((*place, name))}", (*place, name),
                why=f"expected {type(option.default).__name__}" if not allowed else "not one of the choices",
                help=suggestion(str(value), allowed) or (f"One of: {', '.join(allowed)}." if allowed else ""),
            )  # fmt: skip
        values[name] = value
    return {
        stage: tuple(sorted((n, v) for n, v in values.items() if known[n].stage == stage))
        for stage in ("convert", "run")
    }


def _dimensions(loaded: Loaded) -> tuple[Dimension, ...]:
    """Every dimension that a shape names. An undeclared "batch" is 1. Raises E111, E112."""
    model = loaded.model
    found: dict[str, Dimension] = {}
    for position, spec in enumerate(model.inputs):
        for axis in spec.shape or ():
            if not isinstance(axis, str) or axis in found:
                continue
            size = model.dimensions.get(axis, 1 if axis in ("batch", "n") else None)
            if size is None:
                raise problem(
                    loaded, "E111", f"dimension {axis!r} has no size",
                    ("model", "inputs", position, "shape"),
                    why="names a dimension that [model.dimensions] does not size",
                    help=f"Add [model.dimensions] {axis} = {{ min = 1, max = 256, fixed = 128 }}, "
                    f"or one size: {axis} = 128.",
                )  # fmt: skip
            found[axis] = _dimension(loaded, axis, size)
    unused = [name for name in model.dimensions if name not in found]
    if unused and model.inputs:
        raise problem(
            loaded, "E112", f"no input's shape names the dimension {unused[0]!r}",
            ("model", "dimensions", unused[0], ""), why="is not used",
            help=suggestion(unused[0], list(found)) or "Remove it, or name it in a shape.",
        )  # fmt: skip
    found |= {n: _dimension(loaded, n, s) for n, s in model.dimensions.items() if n not in found}
    return tuple(found.values())


def _dimension(loaded: Loaded, name: str, size: int | DimensionRange) -> Dimension:
    if isinstance(size, int):
        return Dimension(name=name, minimum=size, maximum=size, fixed=size)
    if not size.min <= size.fixed <= size.max:
        raise problem(
            loaded, "E103", f"wrong value for model.dimensions.{name}", ("model", "dimensions", name),
            why="needs min <= fixed <= max", help=f"{name} = {{ min = 1, max = 256, fixed = 128 }}",
        )  # fmt: skip
    return Dimension(name=name, minimum=size.min, maximum=size.max, fixed=size.fixed)


def _samples(loaded: Loaded, role: str, cases: int) -> SamplesPlan | None:
    own: str | None = getattr(loaded.model, role)
    text: str | None = own or getattr(loaded.config.data, role)
    if text is None:
        return None
    if text == "random":
        raise problem(
            loaded, "E109", "random samples are refused", ("model" if own else "data", role),
            why="random input has statistics that real input never has",
            help="Give real samples: a folder, a glob, or file.py:function. Without any, validation "
            "falls back to synthetic samples and says so.",
        )  # fmt: skip
    kind = "function" if ".py:" in text else "files"
    return SamplesPlan(kind=kind, location=str((loaded.folder / text).absolute()), cases=cases)


def _refuse_uncalibrated(variants: tuple[Variant, ...], calibration: SamplesPlan | None) -> None:
    for variant in variants:
        target = registry.find(variant.recipe.target)
        if target.precision(variant.recipe.precision).needs_calibration and calibration is None:
            raise EdgepackError(
                "E108",
                f"{variant.id} needs calibration samples",
                why="Activation ranges are measured on real input; guessed ones give a model that "
                "detects nothing.",
                help="Pass --calibration DIR, or set [data] calibration. About 64 typical cases are enough.",
            )


def _environments(loaded: Loaded, variants: tuple[Variant, ...]) -> tuple[EnvironmentPlan, ...]:
    """Every environment the build needs, the model's own first. Raises E113 for a name nobody uses."""
    named = loaded.config.environments
    model = loaded.model
    for one in loaded.each():
        for key in ("python", "requirements"):
            if getattr(one.model, key) != getattr(model, key):
                raise problem(
                    one, "E103", f"wrong value for model.{key}", ("model", key),
                    why="differs from that of the first model",
                    help="Models of one build share an environment; give all the same.",
                )  # fmt: skip
    if model.python and model.requirements:
        raise problem(
            loaded, "E103", "wrong value for model.python", ("model", "python"),
            why="stands beside model.requirements", help="Keep one: python names an environment you "
            "made, requirements lets edgepack make it.",
        )  # fmt: skip
    wanted = ["torch"]
    for variant in variants:
        target = registry.find(variant.recipe.target).target
        wanted.append(target.convert_in.name)
        if not target.not_run:
            wanted.append(target.run_in.name)
    unknown = [n for n in named if n not in wanted]
    if unknown:
        raise problem(
            loaded, "E113", f"no environment is called {unknown[0]!r}", ("environments", unknown[0], ""),
            why="is not needed by this build", help=suggestion(unknown[0], wanted) or
            f"This build uses: {', '.join(dict.fromkeys(wanted))}.",
        )  # fmt: skip
    plans = []
    for name in dict.fromkeys(wanted):
        python = named.get(name, "")
        requirements = ""
        if name == "torch":
            python = model.python or python
            requirements = (
                str((loaded.folder / model.requirements).absolute()) if model.requirements else ""
            )
        # absolute(), not resolve(): the interpreter of a virtual environment is a symbolic link.
        located = str((loaded.folder / python).expanduser().absolute()) if python else ""
        plans.append(
            EnvironmentPlan(name=name, python=_interpreter(located), requirements=requirements)
        )
    return tuple(plans)


def _interpreter(path: str) -> str:
    """A folder means the Python of the virtual environment in it."""
    if not path or re.fullmatch(r"(python|pypy)[\d.]*(\.exe)?", Path(path).name):
        return path
    return str(Path(path) / "bin" / "python")


def _slug(text: str) -> str:
    """A name for folders and files: letters and digits of any script, hyphens for the rest."""
    return re.sub(r"[^\w]+", "-", text).strip("-") or "model"
