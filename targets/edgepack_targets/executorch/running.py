"""A .pte on ExecuTorch's own runtime, on this CPU.

executorch.extension.pybindings._C is what executorch.runtime wraps. That wrapper imports all of exir on
the way, which takes four seconds; the extension alone needs torch and takes none (1.5.1).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from executorch.extension.pybindings import _C

from edgepack.errors import EdgepackError
from edgepack.wire import progress, tensors
from edgepack.wire.types import RunJob, RunResult, Signature
from edgepack_targets.executorch import program

Array = np.ndarray[Any, Any]

COREML = "CoreMLBackend"
_TITLES = {
    "XnnpackBackend": "XNNPACK", "CoreMLBackend": "Core ML", "VulkanBackend": "Vulkan",
    "QnnBackend": "Qualcomm QNN", "OpenvinoBackend": "OpenVINO", "MPSBackend": "MPS",
    "NeuropilotBackend": "MediaTek NeuroPilot", "EthosUBackend": "Arm Ethos-U",
}  # fmt: skip


def run(job: RunJob) -> RunResult:
    """Outputs of every case of a job's samples, saved in the order of its signature.

    Raises E202 and E203 for a file that is no program, E510 for delegates this machine lacks, E508 if the
    runtime cannot load it, E506 if its interface is another, E507 for samples that do not fit it, E509 if
    it fails, E511 for what edgepack's Core ML emulator lacks.
    """
    path = Path(job.artifact)
    with tempfile.TemporaryDirectory() as folder:
        return _run(path, job, Path(folder))


def _run(path: Path, job: RunJob, folder: Path) -> RunResult:
    """As `run`. folder: for what a program has to be unpacked into."""
    described = _described(path, job.signature.name)
    emulates = COREML in described.delegates and not _C._is_available(COREML)  # noqa: SLF001
    if emulates:
        from edgepack_targets.executorch import coreml_running

        method: Any = coreml_running.load(path, described.name, folder)
    else:
        method, described = load(path, job.signature.name)
    check_interface(path, described, job.signature)
    outputs: list[list[Array]] = []
    seconds: list[float] = []
    total = tensors.count(Path(job.samples))
    for number, case in enumerate(tensors.load(Path(job.samples))):
        progress.report("run", number, total)
        check_case(number, case, described, job.signature)
        given = [torch.from_numpy(np.ascontiguousarray(tensor)) for tensor in case]
        started = time.perf_counter()
        results = call(path, method, given)
        seconds.append(time.perf_counter() - started)
        outputs.append([result.numpy() for result in results])
    tensors.save(Path(job.out), outputs)
    return RunResult(
        runtime=coreml_running.RUNTIME if emulates else _runtime(described),
        fidelity="simulated" if emulates else "host",
        cases=len(outputs),
        seconds_per_case=statistics.median(seconds) if seconds else 0.0,
        notes=(_share(described),),
    )


def _described(path: Path, name: str) -> program.Method:
    """What the file says of its method of that name, or of the name "forward". Raises E202, E203, E508."""
    methods = {method.name: method for method in program.read(path).methods}
    described = methods.get(name) or methods.get("forward")
    if described is None:
        raise EdgepackError(
            "E508", f"{path.name} has no method {name!r}", why=f"It has {', '.join(methods)}."
        )
    return described


def load(path: Path, name: str) -> tuple[Any, program.Method]:
    """The runtime's method of that name, or of the name "forward", and what the file says of it.

    Raises E202, E203, E508 and E510 as `run` does.
    """
    described = _described(path, name)
    _check_delegates(path, described)
    lacking = missing_kernels(set(described.operators))
    if lacking:
        raise EdgepackError(
            "E508",
            f"{path.name} needs operators that this runtime lacks: {', '.join(lacking)}",
            why="They are custom operators, or were removed since the file was made.",
        )
    verification = _C.Verification.InternalConsistency
    try:
        loaded = _C._load_program(str(path), program_verification=verification)  # noqa: SLF001
        return loaded.load_method(described.name), described
    except RuntimeError as error:
        words = _words_of(lambda: _C._load_program(str(path)).load_method(described.name))  # noqa: SLF001
        raise EdgepackError(
            "E508", f"ExecuTorch cannot load {path.name}", why=f"{error}\n{words}".strip()
        ) from error


def missing_kernels(operators: set[str]) -> list[str]:
    """Those of `operators`, such as "aten::add.out", that this runtime has no kernel for."""
    lacking = operators - set(_C._get_operator_names())  # noqa: SLF001
    if any(name.startswith("quantized_decomposed::") for name in lacking):
        import executorch.kernels.quantized  # noqa: F401 registers them

        lacking = operators - set(_C._get_operator_names())  # noqa: SLF001
    return sorted(lacking)


def check_interface(path: Path, described: program.Method, signature: Signature) -> None:
    """Raise E506 unless a method takes and gives as many tensors as a signature, of its dtypes."""
    for word, found, specs in (
        ("inputs", described.inputs, signature.inputs),
        ("outputs", described.outputs, signature.outputs),
    ):
        if len(found) != len(specs):
            raise EdgepackError("E506", f"{path.name} has {len(found)} {word}, not {len(specs)}")
        for spec, tensor in zip(specs, found, strict=True):
            if not isinstance(tensor, program.Tensor):
                raise EdgepackError("E506", f"{spec.name!r} of {path.name} is no tensor")
            if tensor.dtype != spec.dtype:
                raise EdgepackError(
                    "E506", f"{spec.name!r} of {path.name} is {tensor.dtype}, not {spec.dtype}"
                )


def check_case(
    number: int, case: tuple[Array, ...], described: program.Method, signature: Signature
) -> None:
    """Raise E507, naming the input, unless a case's tensors fit a method."""
    if len(case) != len(described.inputs):
        raise EdgepackError(
            "E507",
            f"case {number} has {len(case)} tensors, the program {len(described.inputs)} inputs",
        )
    for spec, given, wanted in zip(signature.inputs, case, described.inputs, strict=True):
        assert isinstance(wanted, program.Tensor)
        fits = given.ndim == len(wanted.sizes) and all(
            size <= limit if wanted.dynamic else size == limit
            for size, limit in zip(given.shape, wanted.sizes, strict=True)
        )
        if str(given.dtype) != wanted.dtype or not fits:
            raise EdgepackError(
                "E507",
                f"case {number}: input {spec.name!r} does not fit the program",
                why=f"It is {given.dtype} {list(given.shape)}; the program takes {wanted.dtype} "
                f"{'up to ' if wanted.dynamic else ''}{list(wanted.sizes)}.",
            )


def call(path: Path, method: Any, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """A method's outputs, copied out of its arena. Raises E509 with the runtime's own words."""
    try:
        results: list[torch.Tensor] = method(inputs)
    except RuntimeError as error:
        words = _words_of(lambda: method(inputs))
        raise EdgepackError(
            "E509", f"{path.name} fails while it runs", why=f"{error}\n{words}".strip()
        ) from error
    return results


def _check_delegates(path: Path, described: program.Method) -> None:
    """Raise E510 for delegates that this machine's runtime does not have."""
    absent = [name for name in described.delegates if not _C._is_available(name)]  # noqa: SLF001
    if absent:
        named = ", ".join(_TITLES.get(name, name) for name in absent)
        raise EdgepackError(
            "E510",
            f"{path.name} needs {named}, which does not run on this machine",
            why=f"Its delegates are {', '.join(described.delegates)}; of these the runtime here "
            f"lacks {', '.join(absent)}.",
            help="Run it on a device that has it, or convert for XNNPACK.",
        )


def _words_of(failing: Callable[[], object]) -> str:
    """What the runtime writes to standard error while something that has failed fails again.

    The operator and the check that failed are told there and nowhere else.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            failing()
        except RuntimeError:
            pass
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if "cpuinfo_utils" not in line)


def _runtime(described: program.Method) -> str:
    """What ran, with the delegates that were called."""
    version = metadata.version("executorch")
    called = ", ".join(_TITLES.get(name, name) for name in described.delegates)
    return f"ExecuTorch {version} ({called or 'portable kernels'})"


def _share(described: program.Method) -> str:
    """A sentence on who runs the program."""
    left = sum(described.operators.values())
    own = f"{left} operator calls run on ExecuTorch's own kernels"
    if not described.delegates:
        return f"{own}, nothing is delegated."
    called = " and ".join(
        f"{_TITLES.get(name, name)} {count} times" for name, count in described.delegates.items()
    )
    return f"The program calls {called}; {own}."
