"""What travels between host and workers comes out as it went in."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pytest

from edgepack import wire
from edgepack.errors import EdgepackError
from edgepack.wire import codec, digest, progress, runner, tensors
from edgepack.wire import types as wire_types

DATACLASSES = [
    value
    for name, value in vars(wire_types).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
]


# The codec


def examples(hint: Any, most: int = 3) -> Iterator[Any]:
    """A few values of a type hint: for a union one of each member, for tuples none, one and two items."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        yield from args
    elif origin in (typing.Union, types.UnionType):
        for arg in args:
            yield from examples(arg, 1)
    elif origin is tuple and args[-1] is Ellipsis:
        items = list(examples(args[0]))
        yield from [(), (items[0],), tuple(items)]
    elif origin is tuple:
        yield from zip(*([next(examples(a))] for a in args), strict=True)
    elif origin is dict:
        yield from [{}, {"ä b": next(examples(args[1]))}]
    elif dataclasses.is_dataclass(hint):
        yield from list(instances(hint))[:most]
    elif hint is type(None):
        yield None
    else:
        yield from {
            str: ["", "日本\n\"'"], int: [0, -(2**40)], float: [0.0, -1.5e-300], bool: [False, True]
        }[hint]  # fmt: skip


def instances(cls: type[Any]) -> Iterator[Any]:
    """Values of a dataclass that between them hold every example of every field."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: list(examples(hints[f.name])) for f in dataclasses.fields(cls)}
    for number in range(max(len(values) for values in fields.values())):
        yield cls(**{name: values[number % len(values)] for name, values in fields.items()})


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_every_value_survives_the_codec_and_json(cls: type[Any]) -> None:
    seen = 0
    for value in instances(cls):
        text = json.dumps(codec.encode(value), allow_nan=False)
        again = codec.decode(cls, json.loads(text))
        assert again == value
        assert repr(again) == repr(value)  # tells 1 from 1.0 and lists from tuples
        seen += 1
    assert seen


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_the_host_decodes_what_a_worker_encodes(cls: type[Any]) -> None:
    for value in instances(cls):
        data = json.loads(json.dumps(codec.encode(value)))
        assert repr(msgspec.convert(data, cls)) == repr(value)


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_every_value_is_frozen_slotted_and_keyword_only(cls: type[Any]) -> None:
    value = next(instances(cls))
    name = dataclasses.fields(cls)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    assert not hasattr(value, "__dict__")
    with pytest.raises(TypeError):
        cls("positional")


def test_a_recipe_identifies_and_can_be_hashed() -> None:
    for recipe in instances(wire_types.Recipe):
        assert hash(recipe) == hash(dataclasses.replace(recipe))


def test_an_unknown_or_missing_field_is_refused() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        codec.decode(wire_types.InspectJob, {"artifact": "x", "nonsense": 1})
    with pytest.raises(TypeError, match="artifact"):
        codec.decode(wire_types.InspectJob, {})


# Tensors


ARRAYS = [
    np.arange(6, dtype=dtype).reshape(2, 3) % 2 for dtype in wire_types.DTYPES if dtype != "bool"
] + [
    np.array([[True, False]]),
    np.float32(2.5),
    np.zeros((0, 4), np.int64),
    np.array([np.nan, np.inf, -np.inf, -0.0], np.float16),
    np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    np.arange(3, dtype=">i4"),
]


def test_tensors_keep_values_shapes_dtypes_and_order(tmp_path: Path) -> None:
    path = tmp_path / "Fälle 1.npz"
    cases = [tuple(ARRAYS), tuple(ARRAYS[::-1])] * 6
    tensors.save(path, cases)
    assert tensors.count(path) == 12
    for read, wanted in zip(tensors.load(path), cases, strict=True):
        for one, other in zip(read, wanted, strict=True):
            assert one.shape == np.shape(other)
            assert one.dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(one, other)


def test_cases_come_in_order_however_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    order = [99_999, 100_000, 7]
    with path.open("wb") as file:
        np.savez(file, **{tensors.key(n, 0): np.array(n) for n in order})
    assert [int(case[0]) for case in tensors.load(path)] == sorted(order)


def test_equal_cases_make_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        tensors.save(tmp_path / name, [(np.arange(5), np.ones(2)), (np.arange(3), np.zeros(2))])
    assert digest.of_file(tmp_path / "a") == digest.of_file(tmp_path / "b")


def test_no_object_and_no_pickle_goes_in_or_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="case 0, tensor 1 is not an array of numbers"):
        tensors.save(tmp_path / "x.npz", [(np.ones(1), np.array([{}], dtype=object))])
    with (tmp_path / "evil.npz").open("wb") as file:
        np.savez(file, c00000_i0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        list(tensors.load(tmp_path / "evil.npz"))


# Digests


def test_digests_are_whole_and_equal_independent_ones(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest.of_bytes(b"abc") == digest.of_file(path) == digest.of_tree(path) == abc
    assert digest.of_value({"b": [1, 2.0, None], "a": "ü"}) == digest.of_bytes(
        '{"a":"ü","b":[1,2.0,null]}'.encode()
    )


def test_the_digest_of_a_tree_sees_names_contents_and_nesting_alone(tmp_path: Path) -> None:
    def tree(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return digest.of_tree(tmp_path / name)

    base = tree("base", {"a": "1", "b/c": "2"})
    assert tree("same", {"b/c": "2", "a": "1"}) == base
    assert tree("content", {"a": "1", "b/c": "3"}) != base
    assert tree("name", {"a": "1", "b/d": "2"}) != base
    assert tree("nesting", {"a": "1", "c": "2"}) != base
    assert tree("swapped", {"a": "2", "b/c": "1"}) != base
    os.utime(tmp_path / "same" / "a", (0, 0))
    (tmp_path / "same" / "a").chmod(0o600)
    (tmp_path / "same" / "empty").mkdir()
    assert digest.of_tree(tmp_path / "same") == base
    assert digest.size_of_tree(tmp_path / "same") == 2
    assert digest.size_of_tree(tmp_path / "same" / "a") == 1


def test_a_value_that_is_no_json_has_no_digest() -> None:
    for value in ({"x": object()}, {"x": {1, 2}}, {"x": b"1"}):
        with pytest.raises(TypeError):
            digest.of_value(value)
    with pytest.raises(ValueError, match="JSON"):
        digest.of_value(float("nan"))


# Progress


def test_progress_is_read_back_and_anything_else_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    progress.report("lädt\nzwei Zeilen", 3, 10)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert progress.parse(line) == ("lädt\nzwei Zeilen", 3, 10)
    for other in ("", "hello", "{}", progress.MARKER, f"{progress.MARKER}[]", f"{progress.MARKER}{{}}",
                  f'{progress.MARKER}{{"message": 1, "done": "x", "total": 0}}'):  # fmt: skip
        assert progress.parse(other) is None


# The runner


def failure_of(error: BaseException) -> dict[str, Any]:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        shown: dict[str, Any] = runner.failure(caught)["error"]
    return json.loads(json.dumps(shown))


def test_a_coded_error_keeps_every_word() -> None:
    shown = failure_of(EdgepackError("E401", "no", why="because", help="do"))
    assert [shown[k] for k in ("code", "message", "why", "help", "resource")] == [
        "E401", "no", "because", "do", "",
    ]  # fmt: skip
    assert "Traceback" in shown["traceback"]


class HttpError(Exception):
    code = "404"
    message = "not found"


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (HttpError("x"), "HttpError: x"),
        (SpeechlessError(), "SpeechlessError (its text cannot be had)"),
        (KeyError("a"), "KeyError: 'a'"),
        (ValueError(), "ValueError: "),
        (GeneratorExit(), "GeneratorExit: "),
    ],
)
def test_any_other_exception_has_no_code(error: BaseException, message: str) -> None:
    shown = failure_of(error)
    assert shown["code"] is None
    assert shown["message"] == message


def chained(cause: BaseException, *, suppressed: bool = False) -> BaseException:
    """What `raise EdgepackError(...) from cause`, or `from None` while handling it, gives."""
    error = EdgepackError("E402", "converter")
    error.__context__ = cause
    error.__cause__ = None if suppressed else cause
    return error


class ArrayMemoryError(MemoryError):
    pass


@pytest.mark.parametrize(
    ("error", "resource"),
    [
        (OSError(errno.ENOSPC, "full"), "disk"),
        (OSError(errno.EDQUOT, "quota"), "disk"),
        (OSError(errno.ENOENT, "missing"), ""),
        (ArrayMemoryError(), "memory"),
        (chained(OSError(errno.ENOSPC, "full")), "disk"),
        (chained(MemoryError(), suppressed=True), "memory"),
        (chained(ValueError()), ""),
    ],
)
def test_what_ran_out_is_found_behind_other_exceptions(error: BaseException, resource: str) -> None:
    assert failure_of(error)["resource"] == resource


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert runner.exhausted(one) == ""


def test_a_result_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    runner.write_result(path, {"message": "bad \udcff name"})
    assert msgspec.json.decode(path.read_bytes()) == {"message": "bad ? name"}
    with pytest.raises(TypeError):
        runner.write_result(path, {"value": object()})
    assert msgspec.json.decode(path.read_bytes()) == {"message": "bad ? name"}


def test_the_wire_and_the_errors_need_the_standard_library_alone() -> None:
    program = (
        "import sys, types\n"
        "stub = types.ModuleType('edgepack'); stub.__path__ = [sys.argv[1]]\n"
        "sys.modules['edgepack'] = stub\n"
        "from edgepack import errors\n"
        "from edgepack.wire import codec, digest, progress, runner, tensors, types\n"
        "known = set(sys.stdlib_module_names) | {'edgepack', '__main__'}\n"
        "print([m for m in sys.modules if m.partition('.')[0] not in known])\n"
    )
    package = Path(wire.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, package], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
