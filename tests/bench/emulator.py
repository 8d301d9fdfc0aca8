"""How fast the Core ML emulator is against torch itself: `emulator.py MODEL.pt2 MODEL.mlpackage`.

In the Core ML environment on Linux, with edgepack and edgepack_targets on PYTHONPATH. Both run the same float32
model on the same input, in turns, on one thread and on two. Load time and memory are those of fresh processes.

Memory is what is resident. Of torch it is the size of the weights plus what a run adds at its peak to what
is there before it; what `torch.export` needs to load does not count. Of the emulator it is the highest peak
of loading and running, less what is there once the same model was loaded, run and deleted: libraries and
their code. Large blocks are mapped one by one, so that none is held back after it was freed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from edgepack_targets.coreml.emulator import model as emulated

ROUNDS = 25
WARM = 3
THREADS = (1, 2)
KB = 1024

Run = Callable[[], object]


def inputs_of(program: torch.export.ExportedProgram) -> tuple[torch.Tensor, ...]:
    """Tensors like the example the program was exported with, noise for floats and ones for integers."""
    torch.manual_seed(0)
    assert program.example_inputs is not None
    return tuple(
        torch.rand_like(t) if t.is_floating_point() else torch.ones_like(t)
        for t in program.example_inputs[0]
    )


def by_torch(exported: Path) -> tuple[Run, tuple[torch.Tensor, ...], int]:
    """What runs the program, what it is given, and the bytes of its weights."""
    program = torch.export.load(exported)
    given = inputs_of(program)
    held = (*program.state_dict.values(), *program.constants.values())
    weights = sum(t.nbytes for t in held if isinstance(t, torch.Tensor))
    module = program.module(check_guards=False)
    return lambda: module(*given), given, weights


def by_emulator(package: Path, given: tuple[torch.Tensor, ...]) -> Run:
    """What predicts."""
    model = emulated.open_package(package)
    named = {f.name: t.numpy() for f, t in zip(model.inputs, given, strict=True)}
    return lambda: model.predict(named)


def resident(field: str) -> int:
    """Bytes of this process in memory: "VmRSS" now, "VmHWM" at most since `settle`."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * KB


def settle() -> int:
    """Give back what is free and forget the highest resident memory so far; the bytes that are left."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def several(run: Run) -> None:
    for _ in range(WARM):
        run()


def memory_of_torch(exported: Path) -> dict[str, float]:
    """Bytes of weights, and of activations at their peak."""
    run, _, weights = by_torch(exported)
    several(run)
    before = settle()
    several(run)
    return {"weights": weights, "activations": resident("VmHWM") - before}


def memory_of_emulator(exported: Path, package: Path) -> dict[str, float]:
    """Bytes at the peak of loading, of running, and seconds that the first load took."""
    given = inputs_of(torch.export.load(exported))
    started = time.perf_counter()
    run = by_emulator(package, given)
    seconds = time.perf_counter() - started
    several(run)
    del run
    before = settle()
    run = by_emulator(package, given)
    loading = resident("VmHWM") - before
    settle()
    several(run)
    return {"seconds": seconds, "loading": loading, "running": resident("VmHWM") - before}


def alone(which: str, exported: Path, package: Path) -> dict[str, float]:
    """The memory of one of the two, measured in a process of its own."""
    argv = [sys.executable, __file__, str(exported), str(package), which]
    unheld = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(64 * KB)}
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, env=unheld)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def speed(exported: Path, package: Path) -> tuple[float, float]:
    """Median milliseconds of torch, and the median ratio of the emulator's time to torch's just before."""
    torch_runs, given, _ = by_torch(exported)
    emulator_runs = by_emulator(package, given)
    ratios, seconds = [], []
    for turn in range(WARM + ROUNDS):
        started = time.perf_counter()
        torch_runs()
        between = time.perf_counter()
        emulator_runs()
        ended = time.perf_counter()
        if turn >= WARM:
            ratios.append((ended - between) / (between - started))
            seconds.append(between - started)
    return statistics.median(seconds) * 1e3, statistics.median(ratios)


def report(exported: Path, package: Path) -> str:
    """Lines on speed, load time, and the memory of each."""
    lines = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        milliseconds, ratio = speed(exported, package)
        lines.append(
            f"  speed on {threads}: {ratio:.2f} of torch's time, {milliseconds:.1f} ms (median of {ROUNDS})\n"
        )
    size = sum(p.stat().st_size for p in package.rglob("*") if p.is_file()) / 1e6
    plain = alone("torch", exported, package)
    ours = alone("emulator", exported, package)
    needed, taken = sum(plain.values()), max(ours["loading"], ours["running"])
    return (
        f"{package.stem}\n{''.join(lines)}"
        f"  loads {size:.1f} MB in {ours['seconds']:.2f} s, {ours['seconds'] / size * 100:.2f} s per 100 MB\n"
        f"  memory {taken / needed:.2f} of torch's: {ours['loading'] / 1e6:.0f} MB loading, "
        f"{ours['running'] / 1e6:.0f} MB running;\n"
        f"  torch {plain['weights'] / 1e6:.0f} MB weights + {plain['activations'] / 1e6:.0f} MB activations\n"
    )


def main(exported: Path, package: Path, which: str = "") -> str:
    with torch.inference_mode():
        if which == "torch":
            return json.dumps(memory_of_torch(exported))
        if which == "emulator":
            return json.dumps(memory_of_emulator(exported, package))
        return report(exported, package)


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
