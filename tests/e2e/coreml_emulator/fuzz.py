"""Damages packages at random and feeds them. Arguments: a folder to work in, a count, a seed, packages.

Prints as JSON how often each outcome came: "result", a code of edgepack's, or "crash", whose packages stay
in the folder. Memory is limited, and a case that takes a minute ends the process with its stack. Whatever
kills the process leaves its package behind too.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgepack.errors import EdgepackError
from edgepack.wire.types import InspectJob
from edgepack_targets.coreml import inspection, listing, package
from edgepack_targets.coreml.emulator import limits, model, proto

MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")
WEIGHTS = Path("Data", "com.apple.CoreML", "weights", "weight.bin")
MANIFEST = Path("Manifest.json")
EDGES = (0, 1, 2, 3, 5, 7, 16, 64, 127, 128, 255, 4096, 65535, 2**20, 2**31 - 1)
MEMORY = 2 * 2**30
SECONDS = 60
SCALARS = {
    "int": lambda rng: rng.choice(EDGES) * rng.choice((1, 1, -1)),
    "float": lambda rng: rng.choice((0.0, -1.0, 0.5, 1e-30, 1e30, float("inf"), float("nan"))),
    "bool": lambda rng: rng.random() < 0.5,
}


def flipped(data: bytearray, rng: random.Random) -> bytearray:
    """One to eight bits changed."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    """The end gone, or a piece from the middle."""
    start, length = rng.randrange(len(data)), rng.choice((1, 7, 64, len(data)))
    return data[:start] + data[start + length :]


def repeated(data: bytearray, rng: random.Random) -> bytearray:
    """A piece put over another place."""
    length = min(len(data), rng.choice((1, 4, 16, 256)))
    source, target = (rng.randrange(len(data) - length + 1) for _ in range(2))
    data[target : target + length] = data[source : source + length]
    return data


def bytes_of(change: Callable[[bytearray, random.Random], bytearray]) -> Any:
    return lambda data, rng: bytes(change(bytearray(data), rng))


def inner(message: Any) -> Iterator[Any]:
    """All messages inside a message, and itself."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if not field.is_repeated:
            values = [value]
        elif field.message_type.GetOptions().map_entry:
            of_value = field.message_type.fields_by_name["value"].message_type
            values = list(value.values()) if of_value is not None else []
        else:
            values = list(value)
        for one in values:
            yield from inner(one)


def spliced(data: bytes, rng: random.Random) -> bytes:
    """One to three messages of the program changed: swapped for another of their type, or a field changed."""
    read = proto.messages().Model()
    read.ParseFromString(data)
    whole = list(inner(read.mlProgram if rng.random() < 0.8 else read.description))
    for _ in range(rng.randint(1, 3)):
        one = rng.choice(whole)
        same = [m for m in whole if m.DESCRIPTOR is one.DESCRIPTOR and m is not one]
        if same and rng.random() < 0.4:
            copy = type(one)()
            copy.CopyFrom(rng.choice(same))
            one.CopyFrom(copy)
        else:
            change_field(one, rng, whole)
    return read.SerializePartialToString()


def change_field(one: Any, rng: random.Random, whole: list[Any]) -> None:
    """Change one field: drop it, double it, or give it another value or another message's."""
    fields = [f for f, _ in one.ListFields()]
    if not fields:
        return
    field = rng.choice(fields)
    value = getattr(one, field.name)
    if rng.random() < 0.15:
        one.ClearField(field.name)
    elif field.message_type is None and field.is_repeated and len(value):
        value[rng.randrange(len(value))] = other(value[0], rng, one, field, whole)
    elif field.message_type is None and not field.is_repeated:
        try:
            setattr(one, field.name, other(value, rng, one, field, whole))
        except ValueError:
            setattr(one, field.name, 1)
    elif field.is_repeated and not hasattr(value, "items") and len(value):
        if rng.random() < 0.5:
            value.add().CopyFrom(rng.choice(list(value)))
        else:
            del value[rng.randrange(len(value))]


def other(value: Any, rng: random.Random, one: Any, field: Any, whole: list[Any]) -> Any:
    """Another value of a scalar field; for a text, one that a message of the type has."""
    if isinstance(value, str | bytes):
        same = [m for m in whole if m.DESCRIPTOR is one.DESCRIPTOR]
        found = getattr(rng.choice(same), field.name)
        return found if isinstance(found, type(value)) else rng.choice(list(found) or [value])
    made = SCALARS[type(value).__name__](rng)
    return abs(made) if isinstance(made, int) and field.type in (4, 13) else made


CHANGES: tuple[tuple[Path, Any], ...] = (
    (MODEL, bytes_of(flipped)), (MODEL, bytes_of(cut)), (MODEL, bytes_of(repeated)), (MODEL, spliced),
    (MODEL, spliced), (MODEL, spliced), (MODEL, spliced), (WEIGHTS, bytes_of(flipped)),
    (WEIGHTS, bytes_of(cut)), (WEIGHTS, bytes_of(repeated)), (MANIFEST, bytes_of(flipped)),
)  # fmt: skip


def damaged(whole: Path, to: Path, rng: random.Random) -> None:
    """A copy of a package with one file changed; the other files are links to the same data."""
    shutil.copytree(whole, to, copy_function=os.link)
    files = [(name, change) for name, change in CHANGES if (whole / name).exists()]
    name, change = rng.choice(files)
    data = change((whole / name).read_bytes(), rng)
    (to / name).unlink()
    (to / name).write_bytes(data)


def feed(path: Path) -> None:
    """Inspect and open a package, and predict from noise twice."""
    inspection.inspect(InspectJob(artifact=str(path)))
    for line in listing.lines(package.read(path).spec):
        assert line.isprintable()
    opened = model.open_package(path)
    inputs = {}
    noise = np.random.default_rng(1)
    for feature in opened.inputs:
        shape = tuple(feature.type.multiArrayType.shape)
        if np.prod(shape, dtype=float) < 1e7 and min(shape, default=0) >= 0:
            inputs[feature.name] = noise.normal(size=shape).astype(np.float32)
    state = opened.new_state()
    for _ in range(2):
        opened.predict(inputs, state)


def main(work: Path, count: int, seed: int, packages: list[Path]) -> None:
    faulthandler.enable()
    torch.set_num_threads(1)
    limits.MOST_ROUNDS = 2_000
    for path in packages:
        feed(path)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    outcomes: collections.Counter[str] = collections.Counter()
    crashes, slowest = {}, (0.0, 0)
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        path = work / f"{seed}-{number}.mlpackage"
        damaged(packages[number % len(packages)], path, rng)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        started = time.perf_counter()
        try:
            feed(path)
            outcome = "result"
        except EdgepackError as error:
            outcome = error.code
        except Exception:  # noqa: BLE001 what the fuzzer looks for
            outcome = "crash"
            crashes[path.name] = traceback.format_exc()
        slowest = max(slowest, (time.perf_counter() - started, number))
        outcomes[outcome] += 1
        if outcome != "crash":
            shutil.rmtree(path)
    faulthandler.cancel_dump_traceback_later()
    answer = {"outcomes": dict(outcomes), "crashes": crashes, "slowest": slowest}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), [Path(p) for p in sys.argv[4:]])
