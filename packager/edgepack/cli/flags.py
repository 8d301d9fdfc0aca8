"""Command-line flags become the same Config that edgepack.toml gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from edgepack import config, registry
from edgepack.config import AppSettings, Config, Data, Input, Loaded, Model
from edgepack.errors import EdgepackError
from edgepack.task_settings import TaskName

_INPUT = re.compile(r"^(?P<name>[^:]+):(?P<dtype>\w+)\[(?P<shape>[^\]]*)\]$")


def config_file(model: str | None) -> Path | None:
    """The edgepack.toml that MODEL means: the file, the one in the folder; None for a model itself."""
    if model is None:
        path = Path(config.FILE_NAME)
        if not path.exists():
            raise EdgepackError(
                "E107",
                f"no MODEL is named and there is no {config.FILE_NAME} in this folder",
                help="Name a model: edgepack build model.pt2 --target android. Or write a file: "
                "edgepack init model.pt2.",
            )
        return path
    path = Path(model)
    if path.suffix == ".toml":
        return path
    if path.is_dir() and not (path / "Manifest.json").exists():
        return path / config.FILE_NAME
    return None


def config_of(flags: dict[str, Any]) -> Loaded:
    """The config of MODEL with every flag laid over it. Raises what `config.load` raises, E103, E105, E106."""
    loaded = loaded_from(flags.get("model"))
    base = loaded.config
    changes = _model_changes(base, flags)
    data = {role: _here(flags[role]) for role in ("calibration", "validation") if flags.get(role)}
    if data:
        changes["data"] = msgspec.structs.replace(base.data, **data)
    if flags.get("targets") or flags.get("precisions"):
        changes["targets"] = _targets(base, flags["targets"], flags["precisions"])
        changes["apps"] = _still_built(base, changes["targets"])
    if flags.get("app"):
        platforms = _platforms(changes.get("targets", base.targets))
        changes["apps"] = _apps(base, flags["app"], platforms)
    if flags.get("allow"):
        changes["allow"] = sorted({*base.allow, *flags["allow"]})
    return msgspec.structs.replace(loaded, config=msgspec.structs.replace(base, **changes))


def app_config_of(flags: dict[str, Any]) -> Loaded:
    """The config of MODEL with one app, as flags say. Raises what `config.load` raises.

    Without the file's text where the app is not as the file says, so that no error points into it.
    """
    loaded = loaded_from(flags.get("model"))
    base, platform = loaded.config, flags["platform"]
    (settings,) = _apps(base, flags["task"], (platform,)).values()
    given = {"variant": flags["variant"], "id": flags["app_id"], "name": flags["name"]}
    settings = msgspec.structs.replace(settings, **{k: v for k, v in given.items() if v})
    changes: dict[str, Any] = {"apps": {platform: settings}, **_model_changes(base, flags)}
    changes["allow"] = sorted({*base.allow, *flags["allow"]})
    as_written = settings == base.apps.get(platform)
    return msgspec.structs.replace(
        loaded,
        config=msgspec.structs.replace(base, **changes),
        text=loaded.text if as_written else "",
    )


def _model_changes(base: Config, flags: dict[str, Any]) -> dict[str, Any]:
    """What flags say of the models. Raises E103 for inputs where there are several, E105 for no target.

    What a model has of its own, samples and precisions, gives way to flags as the file's tables do.
    """
    given: dict[str, Any] = {}
    if flags.get("inputs"):
        given["inputs"] = [parse_input(text) for text in flags["inputs"]]
    if flags.get("allow_pickle"):
        given["allow_pickle"] = True
    given |= {role: None for role in ("calibration", "validation") if flags.get(role)}
    targets = [text.rpartition("=")[0] for text in flags.get("precisions", ())]
    ruled = {registry.find(name).target.name for name in targets if name}

    def changed(model: Model) -> Model:
        kept = {
            name: own for name, own in model.precisions.items()
            if "" not in targets and registry.find(name).target.name not in ruled
        }  # fmt: skip
        return msgspec.structs.replace(
            model, **given, precisions=kept if targets else model.precisions
        )

    if isinstance(base.model, Model):
        return {"model": changed(base.model)}
    if "inputs" in given:
        raise EdgepackError(
            "E103", "--input does not say which of several models it is for",
            help="Write the inputs under [[model]] in edgepack.toml.",
        )  # fmt: skip
    return {"model": [changed(model) for model in base.model]}


def only(loaded: Loaded, name: str | None) -> Loaded:
    """The config with one of its models: the one called `name`, or the only one. Raises E103."""
    models = loaded.config.model
    if isinstance(models, Model):
        return loaded
    names = [model.name for model in models]
    if name not in names:
        raise EdgepackError(
            "E103", "there are several models" if name is None else f"no model is called {name!r}",
            why=f"They are {', '.join(names)}.", help="Say which one: --model NAME.",
        )  # fmt: skip
    config = msgspec.structs.replace(loaded.config, name="", model=models[names.index(name)])
    return msgspec.structs.replace(loaded, config=config, text="")


def loaded_from(model: str | None) -> Loaded:
    """The config that MODEL means: a file's, or one that only names the model."""
    file = config_file(model)
    return config.load(file) if file else _from_model(str(model))


def parse_input(text: str) -> Input:
    """An Input from NAME:DTYPE[SHAPE]. Raises E103."""
    match = _INPUT.match(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        axes = [a.strip() for a in match["shape"].split(",") if a.strip()]
        fields = {
            "name": match["name"].strip(),
            "dtype": match["dtype"],
            "shape": [int(a) if a.isdigit() else a for a in axes],
        }
        return msgspec.convert(fields, Input)
    except (ValueError, msgspec.ValidationError) as error:
        raise EdgepackError(
            "E103",
            f"--input {text!r} cannot be read",
            why="" if match is None else str(error),
            help='Write it as --input "image:float32[1,3,224,224]"; an axis may have a name.',
        ) from error


def _from_model(text: str) -> Loaded:
    """A config that only names the model; paths start from the current folder."""
    made = Config(schema=1, model=Model(source=text), data=Data())
    return Loaded(config=made, text="", path=Path(config.FILE_NAME), folder=Path.cwd())


def _here(text: str) -> str:
    """A path given on the command line starts from the current folder, not from the config's."""
    if text == "random":
        return text  # Refused by its name, not looked up as a folder.
    path, colon, function = text.rpartition(":") if ".py:" in text else (text, "", "")
    return f"{Path(path).absolute()}{colon}{function}"


def _targets(
    base: Config, names: tuple[str, ...], precisions: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """The targets asked for, with their settings from the file, and the precisions laid over."""
    chosen = {registry.find(n).target.name: {} for n in names} if names else dict(base.targets)
    if not chosen:
        chosen = {registry.find(p).target.name: {} for p in ("android", "ios")}
    configured = {registry.find(n).target.name: s for n, s in base.targets.items()}
    result = {name: dict(configured.get(name, {})) for name in chosen}
    for name in {t for t, eq, _ in (p.rpartition("=") for p in precisions) if eq}:
        if registry.find(name).target.name not in result:
            raise EdgepackError(
                "E105",
                f"--precision names {name!r}, which is not built",
                help=f"Add --target {name}.",
            )
    for name, settings in result.items():
        own = [
            p for t, _, p in (text.rpartition("=") for text in precisions)
            if not t or registry.find(t).target.name == name
        ]  # fmt: skip
        for precision in own:
            _check_precision(name, precision)
        if own:
            settings["precisions"] = own
    return result


def _check_precision(target: str, precision: str) -> None:
    registered = registry.find(target)
    offered = [p.name for p in registered.target.precisions]
    if precision not in offered:
        near = next((o for o in offered if o.startswith(precision)), offered[0])
        raise EdgepackError(
            "E106",
            f"target {target} has no precision {precision!r}",
            why=f"It offers: {', '.join(offered)}.",
            help=f"Give each target its own: --precision OTHER={precision} --precision {target}={near}.",
        )


def _platforms(targets: dict[str, Any]) -> tuple[str, ...]:
    """The platforms that the chosen targets serve."""
    names = list(targets) or ["litert", "coreml"]
    platforms = {p for n in names for p in registry.find(n).target.default_for}
    return tuple(sorted(platforms or {p for n in names for p in registry.find(n).target.platforms}))


def _apps(base: Config, task: str, platforms: tuple[str, ...]) -> dict[str, AppSettings]:
    """An app for each platform, with its settings from the file.

    task: "as-configured" for that of the file, or of the file's other app.
    """
    usual: TaskName = next((app.task for app in base.apps.values()), "generic")
    found: dict[str, AppSettings] = {}
    for platform in platforms:
        settings = base.apps.get(platform, AppSettings(task=usual))  # type: ignore[call-overload]
        changed = {} if task == "as-configured" else {"task": task}
        found[platform] = msgspec.structs.replace(settings, **changed)
    return found


def _still_built(base: Config, targets: dict[str, Any]) -> dict[str, AppSettings]:
    """The file's apps for the platforms that are built, around another variant where theirs is not."""
    kept: dict[str, AppSettings] = {}
    models = base.model if isinstance(base.model, list) else [base.model]
    for platform, settings in base.apps.items():
        serving = [n for n in targets if platform in registry.find(n).target.platforms]
        built = [
            f"{n}-{p}"
            for n in serving
            for own in (targets[n].get("precisions", registry.find(n).target.default_precisions),
                        *(own for model in models for name, own in model.precisions.items()
                          if registry.find(name).target.name == n))
            for p in own
        ]  # fmt: skip
        if built:
            asked = settings.variant
            named = list(asked.values()) if isinstance(asked, dict) else [asked]
            there = all(name and name.rpartition(".")[2] in built for name in named)
            variant = asked if there else None
            kept[platform] = msgspec.structs.replace(settings, variant=variant)
    return kept
