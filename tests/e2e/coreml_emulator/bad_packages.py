"""Opens and feeds packages that lie, with little memory. Arguments: the folder of good ones, one to work in.

Prints as JSON {attack: {code, text, seconds}} and, under "", the most memory in bytes that was taken
beyond what the process had at the start. An exception that is not edgepack's own has the code "crash".
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import limits, model, proto

Edit = Callable[[Path], object]
MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")
MANIFEST = Path("Manifest.json")
FP32, INT32 = 11, 23
HUGE = 2**40
MEMORY = 2**30


def spec(change: Callable[[Any, Any], object]) -> Edit:
    """An edit of the model's protobuf: change(model, operations of its function)."""

    def edit(package: Path) -> None:
        read = proto.messages().Model()
        read.ParseFromString((package / MODEL).read_bytes())
        (function,) = read.mlProgram.functions.values()
        change(read, function.block_specializations[function.opset])
        (package / MODEL).write_bytes(read.SerializePartialToString())

    return edit


def named(block: Any, kind: str) -> Any:
    """The first operation of a type."""
    return next(o for o in block.operations if o.type == kind)


def typed(of_type: Any, dtype: int, *sizes: int | None) -> None:
    """Make a tensor type of these sizes; None for an open one."""
    of_type.Clear()
    of_type.tensorType.dataType = dtype
    of_type.tensorType.rank = len(sizes)
    for size in sizes:
        dimension = of_type.tensorType.dimensions.add()
        if size is None:
            dimension.unknown.variadic = False
        else:
            dimension.constant.size = size


def literal(binding: Any, dtype: int, values: list[Any], *sizes: int) -> None:
    """Bind a constant written out."""
    typed(binding.value.type, dtype, *sizes)
    tensor = binding.value.immediateValue.tensor
    (tensor.ints if dtype == INT32 else tensor.floats).values.extend(values)


def before(block: Any, kind: str, output: str, sizes: tuple[int | None, ...], **given: Any) -> None:
    """Put an operation first. given: a name, or (dtype, values, sizes…) of a constant."""
    first = block.operations.add(type=kind)
    for name, value in given.items():
        binding = first.inputs[name].arguments.add()
        if isinstance(value, str):
            binding.name = value
        else:
            literal(binding, *value)
    result = first.outputs.add(name=output)
    typed(result.type, FP32, *sizes)
    held = list(block.operations)
    del block.operations[:]
    block.operations.extend([held[-1], *held[:-1]])


def blob(change: Callable[[Any], object]) -> Edit:
    """An edit of the first constant that lies in the weights file."""

    def edit(_: Any, block: Any) -> None:
        for operation in block.operations:
            value = operation.attributes["val"]
            if value.WhichOneof("value") == "blobFileValue":
                change(value)
                return

    return spec(edit)


def record(field: int, value: int) -> Edit:
    """An edit of one field of the first record: sentinel, type, bytes, start, padding."""

    def edit(package: Path) -> None:
        data = bytearray((package / WEIGHTS).read_bytes())
        fields = list(struct.unpack_from("<IIQQQ", data, 64))
        fields[field] = value
        struct.pack_into("<IIQQQ", data, 64, *fields)
        (package / WEIGHTS).write_bytes(data)

    return edit


def manifest(path: Any) -> Edit:
    """An edit of where the manifest says the model is."""

    def edit(package: Path) -> None:
        read = json.loads((package / MANIFEST).read_text())
        for item in read["itemInfoEntries"].values():
            item["path"] = path
        (package / MANIFEST).write_text(json.dumps(read))

    return edit


def linked(name: Path, target: str) -> Edit:
    def edit(package: Path) -> None:
        (package / name).unlink()
        (package / name).symlink_to(target)

    return edit


def nested(depth: int) -> Callable[[Any, Any], None]:
    """Blocks in blocks, written by hand because protobuf writes no deeper than it reads."""

    def edit(read: Any, block: Any) -> None:
        inner = block.operations.add(type="cond").blocks.add()
        for _ in range(depth):
            inner = inner.operations.add(type="cond").blocks.add()

    return edit


def endless(_: Any, block: Any) -> None:
    """The loop's condition is a constant."""
    loop = named(block, "while_loop")
    condition = loop.blocks[0]
    value = condition.operations.add(type="const")
    typed(value.outputs.add(name="yes").type, 1)
    typed(value.attributes["val"].type, 1)
    value.attributes["val"].immediateValue.tensor.bools.values.append(True)
    condition.outputs[0] = "yes"


def set_opset(read: Any, name: str) -> None:
    function = read.mlProgram.functions["main"]
    function.block_specializations[name].CopyFrom(function.block_specializations[function.opset])
    function.opset = name


def set_name(operation: Any, parameter: str, name: str) -> None:
    operation.inputs[parameter].arguments[0].name = name


def outside_a_block(_: Any, block: Any) -> None:
    """Use in a block what only another defines."""
    inner = named(block, "while_loop").blocks[1]
    set_name(named(block, "less"), "x", inner.operations[-1].outputs[0].name)


def other_function(read: Any, block: Any) -> None:
    """Functions that call each other."""
    other = read.mlProgram.functions["other"]
    other.CopyFrom(read.mlProgram.functions["main"])
    named(block, "relu").type = "other"
    named(other.block_specializations[other.opset], "relu").type = "main"


def range_of(low: int, high: int) -> Callable[[Any, Any], None]:
    def edit(read: Any, _: Any) -> None:
        array = read.description.input[0].type.multiArrayType
        for _ in array.shape:
            array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)

    return edit


def left_out(read: Any, _: Any) -> None:
    feature = read.description.input[0].type
    feature.isOptional = True
    feature.multiArrayType.shape[:] = [HUGE]


Attack = tuple[str, str, str, Edit]
"""Name, package, expected code, edit."""


def attacks() -> Iterator[Attack]:
    yield from on_files()
    yield from on_weights()
    yield from on_programs()
    yield from on_structure()
    yield from on_sizes()


def on_files() -> Iterator[Attack]:
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        yield f"model cut at {share}", "plain", "E202", cut(MODEL, share)
    for share in (0.0, 0.01, 0.5):
        yield f"weights cut at {share}", "plain", "E202", cut(WEIGHTS, share)
    yield "model of zeros", "plain", "E202", lambda p: (p / MODEL).write_bytes(b"\0" * 5000)
    yield "sparse model of 3 GB", "plain", "E202", lambda p: os.truncate(p / MODEL, 3 * 2**30)
    yield "sparse model of 1.5 GB", "plain", "E202", lambda p: os.truncate(p / MODEL, 3 * 2**29)
    yield "manifest of lists", "plain", "E202", lambda p: (p / MANIFEST).write_text("[]")
    deep = "[" * 100_000
    yield "manifest nested", "plain", "E202", lambda p: (p / MANIFEST).write_text(deep)
    yield "manifest sparse", "plain", "E202", lambda p: os.truncate(p / MANIFEST, 2**34)
    yield "manifest is a device", "plain", "E202", linked(MANIFEST, "/dev/zero")
    yield "manifest links to itself", "plain", "E202", linked(MANIFEST, "Manifest.json")
    paths = ("../../../etc/passwd", "/etc/passwd", "a\0b", "x" * 5000, "", "\ud800", 7, None, ["a"])
    for path in paths:
        yield f"manifest names {path!r:.20}", "plain", "E202", manifest(path)
    yield "model is a link", "plain", "E202", linked(MODEL, "/etc/passwd")
    yield "weights are a link", "plain", "E202", linked(WEIGHTS, "/etc/passwd")
    yield "weights are a pipe", "plain", "E202", piped


def on_weights() -> Iterator[Attack]:
    names = (
        "@model_path/../../../../etc/passwd",
        "/etc/passwd",
        "@model_path/a\0b",
        "",
        "@model_path/weights",
    )
    for name in names:
        yield (
            f"weights named {name!r:.30}",
            "plain",
            "E202",
            blob(lambda v, n=name: setattr(v.blobFileValue, "fileName", n)),
        )
    for offset in (0, 65, 10**6, 2**63, 2**64 - 1):
        yield (
            f"weights at {offset}",
            "plain",
            "E202",
            blob(lambda v, n=offset: setattr(v.blobFileValue, "offset", n)),
        )
    for field, value in (
        (0, 1),
        (1, 1),
        (1, 99),
        (2, 2**62),
        (2, 4),
        (3, 2**63),
    ):
        yield f"record field {field} is {value}", "plain", "E202", record(field, value)
    yield (
        "weights of another type",
        "plain",
        "E202",
        blob(lambda v: setattr(v.type.tensorType, "dataType", INT32)),
    )
    yield (
        "weights of a type there is not",
        "plain",
        "E511",
        blob(lambda v: setattr(v.type.tensorType, "dataType", 77)),
    )
    for sizes in ((HUGE,), (0, 2**62, 2**62), (2**63,)):
        yield (
            f"weights claim {sizes}",
            "plain",
            "E511",
            blob(lambda v, n=sizes: typed(v.type, FP32, *n)),
        )
    yield "weights of open size", "plain", "E202", blob(lambda v: typed(v.type, FP32, None, 3))


def on_programs() -> Iterator[Attack]:
    yield (
        "operator there is not",
        "plain",
        "E511",
        spec(lambda _, b: setattr(named(b, "relu"), "type", "relu7")),
    )
    yield "functions that call each other", "plain", "E511", spec(other_function)
    yield (
        "parameter there is not",
        "plain",
        "E511",
        spec(lambda _, b: named(b, "relu").inputs["slope"].arguments.add(name="x")),
    )
    yield "parameter missing", "plain", "E202", spec(lambda _, b: named(b, "relu").inputs.pop("x"))
    yield "no result", "plain", "E202", spec(lambda _, b: named(b, "relu").ClearField("outputs"))
    yield (
        "name there is not",
        "plain",
        "E202",
        spec(lambda _, b: set_name(named(b, "relu"), "x", "nothing")),
    )
    yield (
        "result is its own input",
        "plain",
        "E202",
        spec(lambda _, b: set_name(named(b, "relu"), "x", named(b, "relu").outputs[0].name)),
    )
    yield (
        "used before it is there",
        "plain",
        "E202",
        spec(lambda _, b: set_name(named(b, "relu"), "x", "scores")),
    )
    yield "name of another block", "looping", "E202", spec(outside_a_block)


def on_structure() -> Iterator[Attack]:
    yield (
        "output there is not",
        "plain",
        "E202",
        spec(lambda _, b: b.outputs.__setitem__(0, "nothing")),
    )
    yield (
        "described output there is not",
        "plain",
        "E202",
        spec(lambda m, _: setattr(m.description.output[0], "name", "nothing")),
    )
    yield (
        "described input there is not",
        "plain",
        "E202",
        spec(lambda m, _: setattr(m.description.input[0], "name", "nothing")),
    )
    yield (
        "no input described",
        "plain",
        "E202",
        spec(lambda m, _: m.description.ClearField("input")),
    )
    yield "opset there is not", "plain", "E511", spec(lambda m, _: set_opset(m, "CoreML99"))
    yield (
        "opset without block",
        "plain",
        "E202",
        spec(lambda m, _: setattr(m.mlProgram.functions["main"], "opset", "CoreML5")),
    )
    yield "no functions", "plain", "E508", spec(lambda m, _: m.mlProgram.ClearField("functions"))
    yield (
        "six axes",
        "plain",
        "E508",
        spec(lambda _, b: typed(named(b, "relu").outputs[0].type, FP32, 1, 1, 1, 1, 1, 1)),
    )
    yield (
        "wrong shape declared",
        "plain",
        "E509",
        spec(lambda _, b: typed(named(b, "relu").outputs[0].type, FP32, 1, 8, 8, 7)),
    )
    yield (
        "wrong kind of argument",
        "plain",
        "E511",
        spec(lambda _, b: literal(named(b, "conv").inputs["pad_type"].arguments[0], FP32, [1.0])),
    )
    yield "blocks nested 40 deep", "plain", "E202", spec(nested(40))
    yield "blocks nested 2000 deep", "plain", "E202", spec(nested(2000))
    yield "loop without end", "looping", "E509", spec(endless)
    yield (
        "loop without blocks",
        "looping",
        "E202",
        spec(lambda _, b: named(b, "while_loop").ClearField("blocks")),
    )
    yield (
        "loop of more values than it takes",
        "looping",
        "E509",
        spec(lambda _, b: named(b, "while_loop").blocks[1].outputs.append("x")),
    )


def on_sizes() -> Iterator[Attack]:
    yield "input range of everything", "plain", "none", spec(range_of(0, -1))
    yield "optional input of 4 TB", "plain", "E511", spec(left_out)
    yield (
        "state of 4 TB",
        "stateful",
        "E511",
        spec(
            lambda m, _: typed(
                m.mlProgram.functions["main"].inputs[1].type.stateType.wrappedType, FP32, HUGE
            )
        ),
    )
    yield (
        "fill of 4 GB, more than there is",
        "plain",
        "E509",
        spec(
            lambda _, b: before(
                b, "fill", "large", (None,), shape=(INT32, [2**15, 2**15], 2), value=(FP32, [0.0])
            )
        ),
    )
    claims = {
        "fill": {"shape": (INT32, [2**20, 2**20], 2), "value": (FP32, [0.0])},
        "tile": {"x": "x", "reps": (INT32, [1, 2**20, 2**10, 2**10], 4)},
        "range_1d": {
            "start": (FP32, [0.0]), "end": (FP32, [3e38]), "step": (FP32, [1e-30]),
        },
        "one_hot": {"indices": (INT32, [1], 1), "one_hot_vector_size": (INT32, [2**31 - 1])},
        "pad": {"x": "x", "pad": (INT32, [0, 2**30, 0, 2**30], 4)},
        "upsample_nearest_neighbor": {
            "x": "x", "scale_factor_height": (INT32, [2**20]), "scale_factor_width": (INT32, [2**20]),
        },
    }  # fmt: skip
    for kind, given in claims.items():
        for way, sizes in (("open", (None,)), ("small", (1,)), ("true", (2**20, 2**20))):
            yield (
                f"{kind} of a terabyte declared {way}",
                "plain",
                "E511",
                spec(lambda _, b, k=kind, g=given, s=sizes: before(b, k, "large", s, **g)),
            )
    yield (
        "constant of 4 TB",
        "plain",
        "E511",
        spec(lambda _, b: before(b, "relu", "large", (1,), x=(FP32, [1.0], HUGE))),
    )
    yield (
        "constant of nothing by 2**62",
        "plain",
        "E511",
        spec(lambda _, b: before(b, "relu", "large", (1,), x=(FP32, [], 0, 2**62, 2**62))),
    )
    yield (
        "constant of more than it holds",
        "plain",
        "E202",
        spec(lambda _, b: before(b, "relu", "large", (1,), x=(FP32, [1.0], 1000))),
    )


def cut(name: Path, share: float) -> Edit:
    def edit(package: Path) -> None:
        os.truncate(package / name, int((package / name).stat().st_size * share))

    return edit


def piped(package: Path) -> None:
    (package / WEIGHTS).unlink()
    os.mkfifo(package / WEIGHTS)


def feed(path: Path) -> None:
    """Open a package, and predict from zeros."""
    opened = model.open_package(path)
    inputs = {
        f.name: np.zeros(tuple(f.type.multiArrayType.shape), np.float32)
        for f in opened.inputs
        if not f.type.isOptional
    }
    opened.predict(inputs)


def main(good: Path, work: Path) -> None:
    limits.MOST_ROUNDS = 10_000
    feed(good / "plain.mlpackage")
    before_all = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    answers: dict[str, Any] = {}
    for number, (name, package, expected, edit) in enumerate(attacks()):
        path = work / f"{number}.mlpackage"
        shutil.copytree(good / f"{package}.mlpackage", path)
        edit(path)
        started = time.perf_counter()
        try:
            feed(path)
            code, text = "none", ""
        except EdgepackError as error:
            code, text = error.code, f"{error.message}. {error.why}"
        except Exception:  # noqa: BLE001 the answer of the test
            code, text = "crash", traceback.format_exc()
        answers[name] = {
            "code": code, "expected": expected, "text": text, "seconds": time.perf_counter() - started,
        }  # fmt: skip
        shutil.rmtree(path)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps({**answers, "": (most - before_all) * 1024}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
