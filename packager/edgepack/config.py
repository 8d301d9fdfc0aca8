"""edgepack.toml as typed: what the user wrote, checked for form, with nothing resolved.

Unknown keys, wrong types and wrong values are shown as compilers do: file, line, caret, why, help.
"""

from __future__ import annotations

import math
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect
from msgspec import Meta, Struct

from edgepack.errors import EdgepackError
from edgepack.task_settings import TaskName, Tasks

FILE_NAME = "edgepack.toml"
SCHEMA = 1
LONGEST_NAME, LONGEST_NAME_BYTES = 100, 200
"""Folders and files are called after it; they have room for 255 bytes."""
INTEGERS_END = 2**63

_NO_NAME = re.compile(r"^\.|[/\\\x00-\x1f]")
"""What a folder's name must not hold."""

Positive = Annotated[int, Meta(ge=1)]
Dtype = Literal["float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Image(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a photo becomes this input: resize, centre-crop to the input's size, (x * scale - mean) / std.

    resize: length of the shorter side in pixels before the crop; 0 stretches to the input's size.
    """

    resize: Annotated[int, Meta(ge=0)] = 0
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


class Audio(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a recording becomes this input: mono, resampled, cut into windows of the input's last axis.

    hop: samples between windows; 0 for no overlap.
    """

    sample_rate: Positive = 16000
    hop: Annotated[int, Meta(ge=0)] = 0


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of the model, in the order of its forward.

    shape: sizes, or names of dimensions. range: lowest and highest value of synthetic samples.
    pad: value that fills smaller samples where a target needs the fixed size.
    """

    name: Name
    dtype: Dtype | None = None
    shape: list[Positive | Name] | None = None
    layout: str | None = None
    range: tuple[float, float] | None = None
    pad: float | None = None
    image: Image | None = None
    audio: Audio | None = None


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One output of the model, in order."""

    name: Name


class DimensionRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dimension that varies between min and max; `fixed` is its size on targets that cannot vary it."""

    min: Positive = 1
    max: Positive
    fixed: Positive


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The source model. source: file.py:factory, model.pt2 or model.pt.

    files: weights and whatever else the factory reads; part of every cache key.
    calibration, validation: samples of this model, instead of those under [data].
    precisions: by target, instead of those under [targets].
    python: interpreter that has the model's packages. requirements: or a list of them that edgepack
    installs beside PyTorch in an environment of its own.
    """

    name: str = ""
    source: str
    files: list[str] = []
    python: str | None = None
    requirements: str | None = None
    allow_pickle: bool = False
    inputs: list[Input] = []
    outputs: list[Output] = []
    dimensions: dict[str, Positive | DimensionRange] = {}
    calibration: str | None = None
    validation: str | None = None
    precisions: dict[str, list[str]] = {}


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Samples: a folder or glob of images, audio, .npz or .npy, or file.py:function that yields cases."""

    calibration: str | None = None
    validation: str | None = None
    calibration_cases: Positive = 128
    validation_cases: Positive = 100


class ParityLimits(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What an artifact must reach; a limit that is not given keeps its default for the precision.

    max_abs: times max(1, largest absolute reference value). Agreement is a fraction from 0 to 1.
    """

    max_abs: Annotated[float, Meta(ge=0)] | None = None
    min_cosine: Annotated[float, Meta(ge=-1, le=1)] | None = None
    min_psnr_db: float | None = None
    min_sqnr_db: float | None = None
    min_argmax_agreement: Annotated[float, Meta(ge=0, le=1)] | None = None


class AppSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One app to generate. id: application or bundle id. task: what it does, as [tasks.TASK] says.

    variant: which artifact it carries, such as "litert-int8"; of several models, for all or by model.
    """

    variant: str | dict[str, str] | None = None
    id: str | None = None
    name: str | None = None
    task: TaskName = "generic"


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one job may take: wall seconds, and bytes of resident memory (0 for no limit)."""

    job_seconds: Annotated[float, Meta(gt=0)] = 3600.0
    memory_bytes: Annotated[int, Meta(ge=0)] = 0


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """edgepack.toml.

    name: of the whole, where [[model]] tables name several models that belong together.
    targets: by target name, `precisions` and the target's own options.
    environments: an existing Python by environment name, instead of one that edgepack makes.
    allow: verdicts other than pass that do not fail the build.
    """

    schema: Literal[1]
    name: str = ""
    model: Model | Annotated[list[Model], Meta(min_length=1)]
    data: Data = Data()
    targets: dict[str, dict[str, Any]] = {}
    parity: dict[str, ParityLimits] = {}
    apps: dict[Literal["android", "ios"], AppSettings] = {}
    tasks: Tasks = Tasks()
    environments: dict[str, str] = {}
    limits: Limits = Limits()
    allow: list[Literal["not-run"]] = []


class Loaded(Struct, frozen=True, kw_only=True):
    """A config, the text it came from ("" when made from flags), and its folder, which paths start from.

    at: which of several [[model]] tables this is about; None where there is one, or all are meant.
    """

    config: Config
    text: str
    path: Path
    folder: Path
    at: int | None = None

    @property
    def model(self) -> Model:
        """The model this is about, the first if all are meant."""
        models = self.config.model
        return models[self.at or 0] if isinstance(models, list) else models

    def each(self) -> list[Loaded]:
        """The same, about each of the models."""
        if not isinstance(self.config.model, list):
            return [self]
        return [msgspec.structs.replace(self, at=i) for i in range(len(self.config.model))]


def load(path: Path) -> Loaded:
    """The config in a file. Raises E101 not TOML, E102 unknown key, E103 wrong value, E104 missing key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise EdgepackError(
            "E107", f"{path} does not exist", help="Write one with `edgepack init MODEL`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise EdgepackError("E101", f"{path} cannot be read", why=str(error)) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = (int(where[1]), int(where[2])) if where else (1, 1)
        raise EdgepackError(
            "E101",
            f"{path.name} is not valid TOML",
            why=excerpt(text, path, line, column, 1, str(error).partition(" (at")[0]),
        ) from error
    folder = path.absolute().parent
    return Loaded(config=check(data, text, path), text=text, path=path, folder=folder)


def check(data: dict[str, Any], text: str, path: Path) -> Config:
    """The config in parsed TOML. `text` and `path` only serve the message."""
    try:
        return msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        raise _explained(str(error), data, text, path) from error


def refuse_odd_values(loaded: Loaded) -> None:
    """E103 for what the type of a value allows but its use does not."""
    _refuse_odd_numbers(loaded, msgspec.to_builtins(loaded.config), ())
    if _is_odd_name(loaded.config.name):
        raise _odd_name(loaded, ("name",))
    for one in loaded.each():
        _refuse_odd_model(one)


def _is_odd_name(name: str) -> bool:
    size = len(name.encode(errors="surrogatepass"))
    return bool(_NO_NAME.search(name)) or len(name) > LONGEST_NAME or size > LONGEST_NAME_BYTES


def _odd_name(loaded: Loaded, place: tuple[str | int, ...]) -> EdgepackError:
    return problem(
        loaded, "E103", f"wrong value for {'.'.join(map(str, place))}", place,
        why="becomes the name of a folder",
        help=f"Use no slashes and no leading dot, and at most {LONGEST_NAME} characters or "
        f"{LONGEST_NAME_BYTES} bytes.",
    )  # fmt: skip


def _refuse_odd_model(loaded: Loaded) -> None:
    model = loaded.model
    if _is_odd_name(model.name):
        raise _odd_name(loaded, ("model", "name"))
    for position, spec in enumerate(model.inputs):
        if spec.range and spec.range[0] > spec.range[1]:
            raise problem(
                loaded, "E103", f"wrong value for model.inputs.{position}.range",
                ("model", "inputs", position, "range"),
                why="is upside down", help="range = [lowest, highest]",
            )  # fmt: skip
    for role, specs in (("inputs", model.inputs), ("outputs", model.outputs)):
        names = [spec.name for spec in specs]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise problem(
                    loaded, "E103", f"wrong value for model.{role}.{position}.name",
                    ("model", role, position, "name"),
                    why="is the name of another one too", help="Give each a name of its own.",
                )  # fmt: skip


def _refuse_odd_numbers(loaded: Loaded, value: Any, place: tuple[str | int, ...]) -> None:
    """E103 for NaN, infinity and integers beyond 64 bits, which JSON cannot carry."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_odd_numbers(loaded, item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            _refuse_odd_numbers(loaded, item, (*place, position))
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) >= INTEGERS_END
    ):
        raise problem(
            loaded, "E103", f"wrong value for {'.'.join(map(str, place))}", place,
            why="is no number that can be used", help="Give a finite number of at most 64 bits.",
        )  # fmt: skip


def problem(
    loaded: Loaded,
    code: str,
    message: str,
    place: tuple[str | int, ...],
    *,
    why: str = "",
    help: str = "",  # noqa: A002
) -> EdgepackError:
    """An error about one key of a loaded config, with its line and caret when there is a file."""
    if loaded.at is not None and place[0] == "model":
        place = ("model", loaded.at, *place[1:])
    if loaded.text:
        from edgepack import toml_places

        line, column, length = toml_places.find(loaded.text, place)
        why = excerpt(loaded.text, loaded.path, line, column, length, why)
    return EdgepackError(code, message, why=why, help=help)


def excerpt(text: str, path: Path, line: int, column: int, length: int, say: str) -> str:
    """A line of the file with a caret below it. line and column count from 1."""
    lines = text.split("\n")  # TOML's own idea of a line, which splitlines does not share.
    source = lines[min(line, len(lines)) - 1].rstrip("\r")
    gutter = " " * len(str(line))
    caret = " " * (column - 1) + "^" * max(1, length)
    return (
        f"{gutter}--> {path}:{line}:{column}\n{line} | {source}\n{gutter} | {caret} {say}".rstrip()
    )


def _explained(said: str, data: dict[str, Any], text: str, path: Path) -> EdgepackError:
    """A sentence of msgspec's as an error of ours: which key, where it stands, what was meant."""
    sentence, _, at = said.partition(" - at ")
    place = _place(at, data)
    unknown = re.search(r"unknown field `(.+?)`", sentence)
    if at.startswith("`key`"):
        place, unknown = place[:-1], re.search("(.*)", str(place[-1]))
    where = ".".join(str(p) for p in place) or "the file"
    missing = re.search(r"missing required field `(.+?)`", sentence)
    known = _known(place)
    if unknown:
        message, code = f"unknown key {unknown[1]!r} in {where}", "E102"
        place, why = (*place, unknown[1], ""), "edgepack does not know this key"
        listed = f"Known keys: {', '.join(known)}." if known else "Give it a name."
        helps = suggestion(unknown[1], known) or listed
    elif missing:
        message, code = f"{where} lacks the key {missing[1]!r}", "E104"
        why, helps = f"{missing[1]!r} is needed here", f"Add `{missing[1]} = ...`."
    else:
        message, code = f"wrong value for {where}", "E103"
        why = sentence[0].lower() + sentence[1:]
        choices = _choices(place)
        helps = suggestion(str(_value(data, place)), choices) or (
            f"One of: {', '.join(choices)}." if choices else ""
        )
    loaded = Loaded(config=_NOTHING, text=text, path=path, folder=path.parent)
    return problem(loaded, code, message, place, why=why, help=helps)


_NOTHING = Config(schema=1, model=Model(source=""))


def suggestion(word: str, known: list[str]) -> str:
    """The question "Did you mean …?" when one of the known words is close, else ""."""
    close = get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def _place(at: str, data: dict[str, Any]) -> tuple[str | int, ...]:
    """The keys that msgspec's path stands for. It writes [...] for any key of a table: find which."""
    place: list[str | int] = []
    in_key = at.startswith("`key`")
    for name, index in re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", at):
        if name or index != "...":
            place.append(name or int(index))
            continue
        table = _value(data, tuple(place))
        kinds = _options(_type_at(tuple(place)))
        kind = next(k.value_type for k in kinds if isinstance(k, msgspec.inspect.DictType))
        place.append(next((k for k, v in table.items() if _fails(v, kind)), ""))
    if in_key:
        keys = _known(tuple(place))
        table = _value(data, tuple(place)) if keys else ()
        place.append(next((k for k in table if k not in keys), ""))  # Of free names one is refused.
    return tuple(place)


def _fails(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, _annotation(kind))
    except msgspec.ValidationError:
        return True
    return False


def _annotation(kind: Any) -> Any:
    """The Python type that an inspected msgspec type came from, as far as tables of the file need it."""
    if isinstance(kind, msgspec.inspect.StructType):
        return kind.cls
    if isinstance(kind, msgspec.inspect.UnionType):
        return Positive | DimensionRange
    if isinstance(kind, msgspec.inspect.IntType):
        return Annotated[int, Meta(ge=kind.ge)]
    if isinstance(kind, msgspec.inspect.ListType):
        return list[str]
    return dict[str, Any] if isinstance(kind, msgspec.inspect.DictType) else str


def _options(kind: Any) -> tuple[Any, ...]:
    """The types of which a value may have one."""
    return kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)


def _value(data: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return ""
    return data


def _type_at(place: tuple[str | int, ...]) -> Any:
    """The inspected type of a place in the file."""
    kind: Any = msgspec.inspect.type_info(Config)
    for step in place:
        for option in _options(kind):
            if isinstance(step, int):
                if isinstance(option, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
                    kind = option.item_type
            elif isinstance(option, msgspec.inspect.StructType):
                fields = {f.encode_name: f.type for f in option.fields}
                kind = fields.get(step, msgspec.inspect.AnyType())
            elif isinstance(option, msgspec.inspect.DictType):
                kind = option.value_type
    return kind


def _choices(place: tuple[str | int, ...]) -> list[str]:
    """The values that may stand at a place; [] when they cannot be counted."""
    kinds = [k for k in _options(_type_at(place)) if isinstance(k, msgspec.inspect.LiteralType)]
    return [str(value) for kind in kinds for value in kind.values]


def _known(place: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at a place; [] when any may."""
    found: list[str] = []
    for option in _options(_type_at(place)):
        if isinstance(option, msgspec.inspect.StructType):
            found += [f.encode_name for f in option.fields]
        elif isinstance(option, msgspec.inspect.DictType) and isinstance(
            option.key_type, msgspec.inspect.LiteralType
        ):
            found += [str(v) for v in option.key_type.values]
    return found
