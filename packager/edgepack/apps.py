"""Rendering an app project around a converted model: Android in Kotlin, iOS in Swift.

`edgepack_templates` holds the projects and says in each template.toml which targets it serves, with
which runtime, and which dtypes the app's language can feed. Names that people chose go into JSON
wherever they can: an escape that is not needed cannot be wrong.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgepack import app_names, generated, golden_cases
from edgepack.contract.text import UNSHOWN
from edgepack.errors import EdgepackError
from edgepack.verdict import GOLDEN_CASES
from edgepack.wire import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import jinja2
    import numpy as np

    import edgepack_templates as templates
    from edgepack.tasks import Task
    from edgepack.wire.types import Artifact, Recipe, Signature, TensorSpec

    Array = np.ndarray[Any, Any]

LIMITS = ("max_abs", "min_cosine", "min_psnr_db", "min_sqnr_db", "min_argmax_agreement")
"""Limits that apps can judge, with the meanings they have in edgepack.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app to generate.

    id: application id on Android, bundle identifier on iOS.
    name: as shown to people, any Unicode that XML can hold.
    """

    platform: Literal["android", "ios"]
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A model that goes into an app.

    path: the artifact on disk, a file or a folder. golden: the first that fit are taken. peaks: for each
    output the largest absolute number of the reference over all validation cases, which scales the
    limits; without them that over the cases that are taken.
    """

    name: str
    variant: str
    recipe: Recipe
    artifact: Artifact
    path: Path
    golden: Sequence[golden_cases.GoldenCase]
    limits: Mapping[str, float]
    peaks: Sequence[float] = ()


def render(app: App, models: Sequence[Packed], task: Task, out: Path) -> None:
    """Write a whole app project into `out`, a missing or empty folder; equal input, equal bytes.

    models: one or more, all of one target. Raises E601 for a bad id, E602 for a bad name, E603 when the
    target does not run on the platform, E604 when the app could not feed a signature, E605 when a model
    is not the artifact's, E606 when a golden case does not fit, E607 for limits that apps cannot judge,
    E608 when `out` holds something; OSError when it cannot be written.
    """
    recipe = models[0].recipe
    template, target = _served(app, models, task)
    app_names.check(app.platform, app.id, app.name)
    for model in models:
        _check_signature(model.artifact.signature, target)
        _check_limits(model.limits)
        _check_model(model.artifact, model.path)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EdgepackError("E608", f"{out} is not an empty folder", help="name a new folder")

    stored = [golden_cases.stored(model.golden, model.artifact.signature) for model in models]

    payload = out / template.payload
    stems = _stems([model.name for model in models])
    described = [
        _put_model(model, f"{stem}{target.suffix}", f"golden/{stem}", cases, payload)
        for model, stem, cases in zip(models, stems, stored, strict=True)
    ]
    for name, data in task.files.items():
        _write(payload / name, data)
    manifest = {
        "schema": 1,
        "task": {**task.value, "files": _described_files(payload, sorted(task.files))},
        "target": recipe.target,
        "runtime": {"name": target.runtime.name, "version": target.runtime.version},
        "models": described,
    }
    _write(payload / "edgepack.json", _json(manifest))
    write_sources(app, manifest, recipe, out)
    generated.write_listing(out)


def write_sources(app: App, manifest: Mapping[str, Any], recipe: Recipe, out: Path) -> None:
    """The files of a project that come from its template.

    manifest: as edgepack.json holds it. recipe: of one of the models, whose target and options count.
    """
    import edgepack_templates as templates

    template = templates.read(app.platform)
    kind = manifest["task"]["kind"]
    values = {
        "app": app,
        "task": kind,
        "manifest": manifest,
        "minimum_ios": _minimum_ios(template, recipe),
        "payload": template.payload,
        "permissions": template.tasks[kind].permissions,
        "runtime": template.targets[recipe.target].runtime,
        "screen": template.tasks[kind].screen,
        "target": recipe.target,
        "versions": template.versions,
    }
    _fill(app.platform, template, values, out)


def _stems(names: Sequence[str]) -> list[str]:
    """What the models are called in the app: "model", or of several their names in plain letters."""
    if len(names) == 1:
        return ["model"]
    stems: list[str] = []
    for number, name in enumerate(names, start=1):
        stem = "-".join(re.findall("[0-9a-z]+", name.lower())) or "model"
        while stem in stems:
            stem = f"{stem}-{number}"
        stems.append(stem)
    return stems


def _put_model(
    model: Packed, file: str, folder: str,
    stored: tuple[list[dict[str, Any]], dict[str, bytes], list[dict[str, Any]]], payload: Path,
) -> dict[str, Any]:  # fmt: skip
    """Write a model and its golden cases; what edgepack.json says of it."""
    artifact = model.artifact
    outputs = len(artifact.signature.outputs)
    peaks = model.peaks or golden_cases.peaks(model.golden[:GOLDEN_CASES], outputs)
    cases, files, skipped = stored
    _copy(model.path, payload / file)
    for name, data in files.items():
        _write(payload / folder / name, data)
    listed = {"schema": 1, "byte_order": "little", "cases": cases, "skipped": skipped}
    _write(payload / folder / "golden.json", _json(listed))
    return {
        "name": model.name,
        "variant": model.variant,
        "precision": model.recipe.precision,
        "artifact": _described(artifact, payload, file, peaks),
        "golden": folder,
        "cases": len(cases),
        "limits": {name: model.limits[name] for name in sorted(model.limits)},
        "notes": [*artifact.notes, *golden_cases.notes(cases, skipped)],
        "versions": {name: artifact.versions[name] for name in sorted(artifact.versions)},
    }


# --- what is refused -----------------------------------------------------------------------------


def _served(
    app: App, models: Sequence[Packed], task: Task
) -> tuple[templates.Template, templates.Target]:
    """The template and its part for the models' target. Raises E603."""
    import edgepack_templates as templates

    template = templates.read(app.platform)
    wanted = models[0].recipe.target
    target = template.targets.get(wanted)
    if target is None:
        served = " or ".join(sorted(template.targets))
        raise EdgepackError(
            "E603",
            f"an {app.platform} app cannot run {wanted} models",
            why=f"its template knows {served}",
            help=f"build the model for {served}, or choose another variant than {models[0].variant}",
        )
    kind = task.value["kind"]
    if kind not in template.tasks:
        raise EdgepackError(
            "E603",
            f"there is no {app.platform} app for the task {kind}",
            why=f"its template knows {', '.join(template.tasks)}",
            help="choose another task, or generic",
        )
    for model in models:
        if model.recipe.target != wanted or not model.artifact.file.endswith(target.suffix):
            raise EdgepackError(
                "E603",
                f"{model.artifact.file} is not a {wanted} model",
                why=f"a {wanted} model is a {target.suffix}, and an app has one runtime",
                help="name a variant of that target",
            )
    return template, target


def _check_signature(signature: Signature, target: templates.Target) -> None:
    """Raises E604 for the first tensor that the app could not feed or read."""
    for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        names = [tensor.name for tensor in tensors]
        for tensor in tensors:
            double = names.count(tensor.name) > 1
            flaw = f"another {kind} has the same name" if double else _flaw(tensor, target)
            if flaw:
                runtime = f"{target.runtime.name} {target.runtime.version}"
                raise EdgepackError(
                    "E604",
                    f"an app with {runtime} cannot serve the {kind} {tensor.name!r}",
                    why=flaw,
                    help="change the model's signature, or build the app for another target",
                )


def _flaw(tensor: TensorSpec, target: templates.Target) -> str:
    """Why the app's runtime cannot take or give the tensor, "" if it can."""
    if UNSHOWN.search(tensor.name) or not tensor.name:
        return "its name is empty or holds a character that cannot be written"
    if tensor.dtype not in target.dtypes:
        return f"it is {tensor.dtype}; the app's language has {', '.join(target.dtypes)}"
    if not target.flexible and any(isinstance(axis, str) for axis in tensor.shape):
        return "its size may vary, and this version of the runtime cannot resize"
    if tensor.quantization and len(tensor.quantization.scales) != 1:
        return "it is quantized along an axis"
    return ""


def _check_limits(limits: Mapping[str, float]) -> None:
    """Raises E607 for no limits, a limit that apps do not know, or one that is not finite."""
    unknown = sorted(set(limits) - set(LIMITS))
    endless = sorted(name for name, limit in limits.items() if not math.isfinite(limit))
    if not limits or unknown or endless:
        why = f"not finite: {', '.join(endless)}" if endless else "there are none"
        raise EdgepackError(
            "E607",
            "the app cannot judge by these limits",
            why=f"unknown: {', '.join(unknown)}" if unknown else why,
            help=f"apps know {', '.join(LIMITS)}",
        )


def _check_model(artifact: Artifact, path: Path) -> None:
    """Raises E605 unless the model on disk is the artifact's."""
    found = digest.of_tree(path) if path.exists() else "nothing"
    if found != artifact.sha256:
        raise EdgepackError(
            "E605",
            f"{path} is not the model that was converted",
            why=f"its sha256 is {found}, the artifact's {artifact.sha256}",
            help="build again",
        )


# --- what is written -----------------------------------------------------------------------------


def _described(
    artifact: Artifact, payload: Path, file: str, peaks: Sequence[float]
) -> dict[str, Any]:
    """The model as edgepack.json describes it, with the digest of every file of it."""
    whole = payload / file
    files = sorted(p for p in whole.rglob("*") if p.is_file()) if whole.is_dir() else [whole]
    signature = artifact.signature
    return {
        "file": file,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
        "files": _described_files(payload, [f.relative_to(payload).as_posix() for f in files]),
        "signature": {
            "name": signature.name,
            "inputs": [_described_tensor(tensor) for tensor in signature.inputs],
            "outputs": [
                {**_described_tensor(tensor), "peak": peak}
                for tensor, peak in zip(signature.outputs, peaks, strict=True)
            ],
        },
    }


def _described_files(payload: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Files beside edgepack.json with their digests."""
    return [
        {
            "path": name,
            "sha256": digest.of_file(payload / name),
            "bytes": (payload / name).stat().st_size,
        }
        for name in names
    ]


def _described_tensor(tensor: TensorSpec) -> dict[str, Any]:
    """A tensor as edgepack.json describes it."""
    quantization = tensor.quantization and {
        "scale": tensor.quantization.scales[0],
        "zero_point": tensor.quantization.zero_points[0],
    }
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "layout": tensor.layout,
        "quantization": quantization,
    }


def _minimum_ios(template: templates.Template, recipe: Recipe) -> str:
    """The oldest iOS that both template and model run on, as "17.0"; "" for Android."""
    least = template.versions.get("minimum_ios", "")
    asked = re.search(r"(\d+)(?:\.(\d+))?", str(dict(recipe.options).get("minimum_ios", "")))
    if not least or asked is None:
        return least
    floor = [int(part) for part in least.split(".")]
    wanted = [int(part or 0) for part in asked.groups()]
    return ".".join(str(part) for part in max(floor, wanted))


def _fill(platform: str, template: templates.Template, values: dict[str, Any], out: Path) -> None:
    """Render or copy every file of the template that the target and the task get."""
    import edgepack_templates as templates

    root = templates.ROOT / platform
    environment = _environment(root)
    for final, name in templates.files(
        platform, template, values["target"], values["task"]
    ).items():
        if name.endswith(".j2"):
            _write(out / final, environment.get_template(name).render(values).encode())
        else:
            _copy(root / name, out / final)
        if name in template.executable:
            (out / final).chmod(0o755)


def _environment(root: Path) -> jinja2.Environment:
    """Jinja that stops at an undefined name, escapes XML by itself, and knows our filters."""
    import jinja2

    from edgepack_templates.escapes import FILTERS

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(enabled_extensions=("xml.j2", "xcscheme.j2")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment


def _copy(source: Path, destination: Path) -> None:
    """Copy a file or a folder of files, contents alone."""
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    for file in files:
        final = destination / file.relative_to(source) if source.is_dir() else destination
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, final)
        final.chmod(0o644)


def _write(path: Path, data: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def _json(value: Any) -> bytes:
    """JSON for people and programs, in UTF-8."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
