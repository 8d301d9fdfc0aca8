"""How fast the Core ML emulator is against torch itself: `emulator.py MODEL.pt2 MODEL.mlpackage`.

In the Core ML environment, with edgepack and edgepack_targets on PYTHONPATH. Both run the same float32
model on the same input and threads, in turns; load time and peak memory are those of fresh processes.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from edgepack_targets.coreml.emulator import model as emulated

ROUNDS = 15
THREADS = 2


def inputs_of(program: torch.export.ExportedProgram) -> tuple[torch.Tensor, ...]:
    """The example the program was exported with, floats replaced by noise."""
    torch.manual_seed(0)
    examples = program.example_inputs[0]
    return tuple(
        torch.rand_like(t) if t.is_floating_point() else torch.ones_like(t) for t in examples
    )


def both(exported: Path, package: Path) -> tuple[Callable[[], object], Callable[[], object], float]:
    """What runs torch, what runs the emulator, and the seconds it took to load the package."""
    program = torch.export.load(exported)
    given = inputs_of(program)
    module = program.module(check_guards=False)
    started = time.perf_counter()
    model = emulated.open_package(package)
    loaded = time.perf_counter() - started
    named = {f.name: t.numpy() for f, t in zip(model.inputs, given, strict=True)}
    return lambda: module(*given), lambda: model.predict(named), loaded


def peak_bytes(exported: Path, package: Path, which: str) -> int:
    """Resident memory at its highest while one of the two runs three times, in a process of its own."""
    argv = [sys.executable, __file__, str(exported), str(package), which]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[-1])


def alone(exported: Path, package: Path, which: str) -> None:
    """Run one of the two and print the growth of this process's peak over what importing took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if which == "torch":
        program = torch.export.load(exported)
        given = inputs_of(program)
        module = program.module(check_guards=False)
        del program
        run: Callable[[], object] = lambda: module(*given)  # noqa: E731
    else:
        shapes = {
            f.name: tuple(f.type.multiArrayType.shape)
            for f in emulated.open_package(package).inputs
        }
        model = emulated.open_package(package)
        kinds = {f.name: f.type.multiArrayType.dataType for f in model.inputs}
        named = {
            name: (
                torch.ones(shape, dtype=torch.int32) if kinds[name] == 131104 else torch.rand(shape)
            ).numpy()
            for name, shape in shapes.items()
        }
        run = lambda: model.predict(named)  # noqa: E731
    with torch.inference_mode():
        for _ in range(3):
            run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)  # noqa: T201


def main(exported: Path, package: Path) -> None:
    torch_runs, emulator_runs, loaded = both(exported, package)
    ratios, seconds = [], []
    with torch.inference_mode():
        for round_ in range(ROUNDS + 3):
            started = time.perf_counter()
            torch_runs()
            between = time.perf_counter()
            emulator_runs()
            ended = time.perf_counter()
            if round_ >= 3:
                ratios.append((ended - between) / (between - started))
                seconds.append(between - started)
    megabytes = sum(p.stat().st_size for p in package.rglob("*") if p.is_file()) / 1e6
    print(  # noqa: T201
        f"{package.stem}: torch {statistics.median(seconds) * 1e3:.1f} ms, "
        f"emulator / torch {statistics.median(ratios):.2f} (median of {ROUNDS}), "
        f"loaded in {loaded:.2f} s ({loaded / megabytes * 100:.2f} s per 100 MB)"
    )
    peaks = {which: peak_bytes(exported, package, which) for which in ("torch", "emulator")}
    print(  # noqa: T201
        f"{package.stem}: memory torch {peaks['torch'] / 1e6:.0f} MB, emulator {peaks['emulator'] / 1e6:.0f} MB, "
        f"ratio {peaks['emulator'] / peaks['torch']:.2f}"
    )


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    paths = Path(sys.argv[1]), Path(sys.argv[2])
    if len(sys.argv) > 3:
        alone(*paths, sys.argv[3])
    else:
        main(*paths)
