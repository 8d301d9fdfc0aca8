"""The apps of a config: which artifacts each carries, and what it does with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgepack import app_names, registry
from edgepack.config import AppSettings, Loaded, problem, suggestion
from edgepack.errors import EdgepackError
from edgepack.task_settings import ImageClassification, TaskName, Translation, Voice
from edgepack.wire.types import Variant


@dataclass(frozen=True, slots=True)
class Offered:
    """A model of the build and its variants. prefix: of their ids, "" for the only model."""

    name: str
    prefix: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlan:
    """One app to render.

    variants: the artifacts it carries, one of each model. settings: of its task; folder: where the
    paths in them start.
    """

    platform: Literal["android", "ios"]
    variants: tuple[str, ...]
    id: str
    name: str
    task: TaskName
    settings: ImageClassification | Voice | Translation | None
    folder: str


def resolve(loaded: Loaded, name: str, models: Sequence[Offered]) -> tuple[AppPlan, ...]:
    """The apps of a config. name: of the build.

    Raises E103 for a model that a task names and nobody has, E104 for a task without settings, E110 for
    a variant that is not built, E601 and E602 for an id and a name that a platform refuses.
    """
    plans = []
    for platform, settings in loaded.config.apps.items():
        wanted = loaded.config.tasks.named(settings.task)
        if wanted is None and settings.task != "generic":
            raise problem(
                loaded, "E104", f"the file lacks the table [tasks.{settings.task}]",
                ("apps", platform, "task"), why="needs to know what to do with the models",
                help=f'Add [tasks.{settings.task}], or make the app with task = "generic".',
            )  # fmt: skip
        used = _used(loaded, settings.task, wanted, models)
        _refuse_unknown_models(loaded, platform, settings, models)
        variants = tuple(_variant_of(loaded, platform, model) for model in used)
        _refuse_two_targets(loaded, platform, variants)
        app = _app(platform, settings, variants, name, wanted, loaded.folder)
        try:
            app_names.check(platform, app.id, app.name)
        except EdgepackError as error:
            key = "id" if error.code == "E601" else "name"
            raise problem(
                loaded, error.code, error.message, ("apps", platform, key), why=error.why,
                help=error.help,
            ) from error  # fmt: skip
        plans.append(app)
    return tuple(plans)


def _used(
    loaded: Loaded, task: TaskName, settings: ImageClassification | Voice | Translation | None,
    models: Sequence[Offered],
) -> Sequence[Offered]:  # fmt: skip
    """The models that a task runs, each once. Raises E103 for a name that no model has."""
    if settings is None:
        return models
    named: dict[tuple[str, ...], str] = {}
    if isinstance(settings, ImageClassification):
        if not settings.model and len(models) == 1:
            return models
        named["model",] = settings.model
    else:
        if isinstance(settings, Voice):
            named["detector", "model"] = settings.detector.model
        named["encoder",] = settings.encoder
        named["decoder", "model"] = settings.decoder.model
    by_name = {model.name: model for model in models}
    for place, name in named.items():
        if name not in by_name:
            raise problem(
                loaded, "E103", f"wrong value for tasks.{task}.{'.'.join(place)}",
                ("tasks", task, *place), why="is the name of no model" if name else "is needed",
                help=suggestion(name, list(by_name)) or f"Models: {', '.join(by_name)}.",
            )  # fmt: skip
    return tuple(by_name[name] for name in dict.fromkeys(named.values()))


def _refuse_unknown_models(
    loaded: Loaded, platform: str, settings: AppSettings, models: Sequence[Offered]
) -> None:
    """E103 for a variant of a model that nobody has."""
    names = [model.name for model in models]
    for name in settings.variant if isinstance(settings.variant, dict) else ():
        if name not in names:
            raise problem(
                loaded, "E103", f"wrong value for apps.{platform}.variant",
                ("apps", platform, "variant", name), why=f"{name!r} is the name of no model",
                help=suggestion(name, names) or f"Models: {', '.join(names)}.",
            )  # fmt: skip


def _variant_of(loaded: Loaded, platform: str, model: Offered) -> Variant:
    """The variant of a model that an app carries. Raises E110 when it is not built."""
    asked = loaded.config.apps[platform].variant  # type: ignore[index]
    if isinstance(asked, dict):
        asked = asked.get(model.name)
    candidates = {
        v.id: v for v in model.variants
        if platform in registry.find(v.recipe.target).target.platforms
    }  # fmt: skip
    chosen = asked or _default_variant(platform, model.variants)
    found = candidates.get(f"{model.prefix}{chosen}") or candidates.get(str(chosen))
    if found is None:
        of = f" of the model {model.name!r}" if model.prefix else ""
        what = (
            f"app's variant {chosen!r}{of} is not" if chosen else f"app has no variant{of} that is"
        )
        raise problem(
            loaded, "E110", f"the {platform} {what} built",
            ("apps", platform, "variant"), why="is not among the variants for this platform",
            help=suggestion(str(chosen), list(candidates))
            or f"Built for {platform}: {', '.join(candidates) or 'none'}.",
        )  # fmt: skip
    return found


def _refuse_two_targets(loaded: Loaded, platform: str, variants: tuple[Variant, ...]) -> None:
    """E110 for models of two targets: an app has one runtime."""
    targets = list(dict.fromkeys(v.recipe.target for v in variants))
    if len(targets) > 1:
        raise problem(
            loaded, "E110", f"the {platform} app's variants are of {' and '.join(targets)}",
            ("apps", platform, "variant"), why="must all be of one target, for an app has one runtime",
            help="Choose variants of one target.",
        )  # fmt: skip


def _app(
    platform: Literal["android", "ios"], settings: AppSettings, variants: tuple[Variant, ...],
    name: str, wanted: ImageClassification | Voice | Translation | None, folder: Path,
) -> AppPlan:  # fmt: skip
    words = [w for w in re.split(r"[^0-9A-Za-z]+", name) if w]
    plain = "".join(words).lower() or "model"
    plain = plain if plain[0].isalpha() else f"m{plain}"
    return AppPlan(
        platform=platform,
        variants=tuple(v.id for v in variants),
        id=settings.id or f"com.example.{plain}",
        name=settings.name or " ".join(w[:1].upper() + w[1:] for w in words) or "Model",
        task=settings.task,
        settings=wanted,
        folder=str(folder.absolute()) if wanted else "",
    )


def _default_variant(platform: str, variants: tuple[Variant, ...]) -> str | None:
    """The smallest variant of the platform's own target: an app should start small."""
    order = ("int8", "int8-weights", "fp16", "fp32")
    own = [v for v in variants if platform in registry.find(v.recipe.target).target.default_for]
    others = [v for v in variants if platform in registry.find(v.recipe.target).target.platforms]
    ranked = sorted(
        own or others,
        key=lambda v: (
            order.index(v.recipe.precision) if v.recipe.precision in order else len(order)
        ),
    )
    return ranked[0].id if ranked else None
