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

from edgepack.errors import EdgepackError
from edgepack.verdict import GOLDEN_CASES
from edgepack.wire import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import jinja2
    import numpy as np

    import edgepack_templates as templates
    from edgepack.wire.types import Artifact, Recipe, Signature, TensorSpec

    Array = np.ndarray[Any, Any]

LIMITS = ("max_abs", "min_cosine", "min_psnr_db", "min_sqnr_db", "min_argmax_agreement")
"""Limits that apps can judge, with the meanings they have in edgepack.toml."""

MAX_CASE_BYTES = 4 * 1024 * 1024
MAX_NAME_CHARACTERS = 100

_ANDROID_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)+")
_IOS_ID = re.compile(r"[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+")
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_STORED = frozenset(
    ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app to generate.

    id: application id on Android, bundle identifier on iOS.
    name: as shown to people, any Unicode that XML can hold.
    """

    platform: Literal["android", "ios"]
    variant: str
    id: str
    name: str
    task: Literal["generic"] = "generic"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One call of the source model: its inputs and outputs in the order of the signature."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


def render(
    app: App,
    *,
    artifact: Artifact,
    artifact_path: Path,
    recipe: Recipe,
    model_name: str,
    golden: Sequence[GoldenCase],
    limits: Mapping[str, float],
    out: Path,
    peaks: Sequence[float] = (),
) -> None:
    """Write a whole app project into `out`, a missing or empty folder; equal input, equal bytes.

    artifact_path: the model on disk, a file or a folder. golden: the first that fit are taken.
    peaks: for each output the largest absolute number of the reference over all validation cases,
    which scales the limits; without them that over the cases that are taken.
    Raises E601 for a bad id, E602 for a bad name, E603 when the target does not run on the
    platform, E604 when the app could not feed the signature, E605 when the model is not the
    artifact's, E606 when a golden case does not fit, E607 for limits that apps cannot judge, E608
    when `out` holds something; OSError when it cannot be written.
    """
    template, target = _served(app, artifact, recipe)
    _check_app(app)
    _check_signature(artifact.signature, target)
    _check_limits(limits)
    _check_model(artifact, artifact_path)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise EdgepackError("E608", f"{out} is not an empty folder", help="name a new folder")
    cases, files, skipped = _stored(golden, artifact.signature)
    peaks = peaks or _peaks(golden[:GOLDEN_CASES], len(artifact.signature.outputs))

    payload = out / template.payload
    _copy(artifact_path, payload / target.model)
    for name, data in files.items():
        _write(payload / "golden" / name, data)
    stored = {"schema": 1, "byte_order": "little", "cases": cases, "skipped": skipped}
    _write(payload / "golden" / "golden.json", _json(stored))
    manifest = {
        "schema": 1,
        "model": {"name": model_name},
        "task": app.task,
        "variant": app.variant,
        "target": recipe.target,
        "precision": recipe.precision,
        "runtime": {"name": target.runtime.name, "version": target.runtime.version},
        "artifact": _described(artifact, payload, target.model, peaks),
        "limits": {name: limits[name] for name in sorted(limits)},
        "notes": [*artifact.notes, *_golden_notes(cases, skipped)],
        "versions": {name: artifact.versions[name] for name in sorted(artifact.versions)},
    }
    _write(payload / "edgepack.json", _json(manifest))
    values = {
        "app": app,
        "golden": stored,
        "manifest": manifest,
        "minimum_ios": _minimum_ios(template, recipe),
        "payload": template.payload,
        "runtime": target.runtime,
        "target": recipe.target,
        "versions": template.versions,
    }
    _fill(app.platform, recipe.target, template, values, out)


# --- what is refused -----------------------------------------------------------------------------


def _served(
    app: App, artifact: Artifact, recipe: Recipe
) -> tuple[templates.Template, templates.Target]:
    """The template and its part for the target. Raises E603."""
    import edgepack_templates as templates

    template = templates.read(app.platform)
    target = template.targets.get(recipe.target)
    if target is None:
        served = " or ".join(sorted(template.targets))
        raise EdgepackError(
            "E603",
            f"an {app.platform} app cannot run {recipe.target} models",
            why=f"its template knows {served}",
            help=f"build the model for {served}, or choose another variant than {app.variant}",
        )
    if not artifact.file.endswith(target.suffix):
        raise EdgepackError(
            "E603",
            f"{artifact.file} is not a {recipe.target} model",
            why=f"a {recipe.target} model is a {target.suffix}",
            help="name a variant of that target",
        )
    return template, target


def _check_app(app: App) -> None:
    """Raises E601 for the id, E602 for the name."""
    android = app.platform == "android"
    if (_ANDROID_ID if android else _IOS_ID).fullmatch(app.id) is None:
        why = (
            "it needs two or more parts of letters, digits and _, each starting with a letter"
            if android
            else "it needs two or more parts of letters, digits and -"
        )
        raise EdgepackError(
            "E601",
            f"{app.id!r} is not an application id for {app.platform}",
            why=f"{why}, with dots between them",
            help=f"for example {_better_id(app.id, android)}",
        )
    unfit = _UNFIT.search(app.name)
    length = len(app.name.strip())
    if unfit or not 1 <= length <= MAX_NAME_CHARACTERS:
        why = f"a name has 1 to {MAX_NAME_CHARACTERS} characters, this one {length}"
        raise EdgepackError(
            "E602",
            f"{app.name[:40]!r} cannot be the name of an app",
            why=f"no screen shows the character U+{ord(unfit.group()):04X}" if unfit else why,
            help="give the app another name",
        )


def _better_id(given: str, android: bool) -> str:
    """An id near the given one that would do."""
    parts = [re.sub(r"[^a-zA-Z0-9]+", "_" if android else "-", part) for part in given.split(".")]
    parts = [part.strip("_-") for part in parts]
    parts = [f"a{part}" if android and part[:1].isdigit() else part for part in parts if part]
    return ".".join(parts) if len(parts) > 1 else ".".join(["com.example", *(parts or ["app"])])


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
    if _UNFIT.search(tensor.name) or not tensor.name:
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


# --- golden cases --------------------------------------------------------------------------------


def _stored(
    golden: Sequence[GoldenCase], signature: Signature
) -> tuple[list[dict[str, Any]], dict[str, bytes], list[dict[str, Any]]]:
    """Cases as golden.json lists them, the content of their files, a note for each one left out.

    The first GOLDEN_CASES that are small enough are taken. Raises E606.
    """
    cases: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    skipped: list[dict[str, Any]] = []
    for number, case in enumerate(golden):
        if len(cases) == GOLDEN_CASES:
            break
        inputs = _encoded(number, "input", case.inputs, signature.inputs)
        outputs = _encoded(number, "output", case.outputs, signature.outputs)
        size = sum(len(data) for _, data in inputs + outputs)
        if size > MAX_CASE_BYTES:
            why = f"golden case {number} was left out: {size} bytes, an app takes {MAX_CASE_BYTES}"
            skipped.append({"case": number, "bytes": size, "why": why})
            continue
        cases.append({"inputs": [e for e, _ in inputs], "outputs": [e for e, _ in outputs]})
        files.update({entry["file"]: data for entry, data in inputs + outputs})
    return cases, files, skipped


def _golden_notes(cases: list[dict[str, Any]], skipped: list[dict[str, Any]]) -> list[str]:
    """What a person should know of the golden cases that are not there."""
    notes = [str(entry["why"]) for entry in skipped]
    return notes if cases else [*notes, "there are no golden cases: the app can check nothing"]


def _encoded(
    number: int, kind: Literal["input", "output"], arrays: Sequence[Array],
    specs: Sequence[TensorSpec],
) -> list[tuple[dict[str, Any], bytes]]:  # fmt: skip
    """Description and little-endian bytes of each array of a case.

    Inputs are stored as the model takes them, outputs as the source model gave them. Raises E606.
    """
    import numpy as np

    if len(arrays) != len(specs):
        raise _misfit(number, f"it has {len(arrays)} {kind}s, the model {len(specs)}")
    encoded = []
    for index, (given, spec) in enumerate(zip(arrays, specs, strict=True)):
        array = np.asarray(given)
        if not _fits(array.shape, spec.shape, exactly=kind == "input"):
            raise _misfit(number, f"{kind} {spec.name!r} is {array.shape}, it must be {spec.shape}")
        stored = _fed(number, array, spec) if kind == "input" else array
        dtype = stored.dtype.name
        if dtype not in _STORED:
            raise _misfit(number, f"{kind} {spec.name!r} is {dtype}")
        if kind == "output" and not np.all(np.isfinite(stored)):
            raise _misfit(number, f"output {spec.name!r} holds a number that is not finite")
        data = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<"))).tobytes()
        entry = {
            "name": spec.name,
            "file": f"case{number}_{kind}{index}.bin",
            "dtype": dtype,
            "shape": [int(size) for size in array.shape],
        }
        encoded.append((entry, data))
    return encoded


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...], *, exactly: bool) -> bool:
    """Whether a shape is the wanted one; with exactly=False, whether it has as many numbers.

    A target may give a scalar as one number in one axis.
    """
    fixed = [axis for axis in wanted if isinstance(axis, int)]
    if not exactly and len(fixed) == len(wanted):
        return math.prod(shape) == math.prod(fixed)
    return len(shape) == len(wanted) and all(
        isinstance(axis, str) or axis == size for size, axis in zip(shape, wanted, strict=True)
    )


def _fed(number: int, array: Array, spec: TensorSpec) -> Array:
    """The input as the model takes it: quantized, or its values unchanged. Raises E606."""
    import numpy as np

    wanted = np.dtype(spec.dtype)
    if array.dtype == wanted:
        return array
    if spec.quantization and array.dtype.kind == "f" and wanted.kind in "iu":
        levels = np.rint(array / spec.quantization.scales[0]) + spec.quantization.zero_points[0]
        whole = np.iinfo(wanted)
        return np.asarray(np.clip(levels, whole.min, whole.max).astype(wanted))
    with np.errstate(over="ignore", invalid="ignore"):
        fed = array.astype(wanted)
        rounds = array.dtype.kind == "f" and wanted.kind == "f"
        same = (
            np.isfinite(fed) == np.isfinite(array) if rounds else fed.astype(array.dtype) == array
        )
    if not np.all(same):
        raise _misfit(number, f"input {spec.name!r} is {array.dtype}, {spec.dtype} cannot hold it")
    return fed


def _misfit(number: int, why: str) -> EdgepackError:
    """The error for a golden case that does not fit the model."""
    return EdgepackError(
        "E606",
        f"golden case {number} does not fit the model",
        why=why,
        help="take golden cases from the samples that the model was validated with",
    )


# --- what is written -----------------------------------------------------------------------------


def _peaks(golden: Sequence[GoldenCase], outputs: int) -> list[float]:
    """For each output the largest absolute number over all cases."""
    import numpy as np

    return [
        max(
            (
                float(np.abs(np.asarray(case.outputs[i], np.float64)).max(initial=0.0))
                for case in golden
            ),
            default=0.0,
        )
        for i in range(outputs)
    ]


def _described(
    artifact: Artifact, payload: Path, model: str, peaks: Sequence[float]
) -> dict[str, Any]:
    """The model as edgepack.json describes it, with the digest of every file of it."""
    whole = payload / model
    files = sorted(p for p in whole.rglob("*") if p.is_file()) if whole.is_dir() else [whole]
    signature = artifact.signature
    return {
        "file": model,
        "sha256": artifact.sha256,
        "bytes": artifact.bytes,
        "files": [
            {
                "path": file.relative_to(payload).as_posix(),
                "sha256": digest.of_file(file),
                "bytes": file.stat().st_size,
            }
            for file in files
        ],
        "signature": {
            "name": signature.name,
            "inputs": [_described_tensor(tensor) for tensor in signature.inputs],
            "outputs": [
                {**_described_tensor(tensor), "peak": peak}
                for tensor, peak in zip(signature.outputs, peaks, strict=True)
            ],
        },
    }


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


def _fill(
    platform: str, target: str, template: templates.Template, values: dict[str, Any], out: Path
) -> None:
    """Render or copy every file of the template that the target gets."""
    import edgepack_templates as templates

    root = templates.ROOT / platform
    environment = _environment(root)
    for final, name in templates.files(platform, template, target).items():
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
