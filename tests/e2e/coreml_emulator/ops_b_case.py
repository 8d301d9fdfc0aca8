"""What a case of ops_b is, and how many of them become one converted program."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813 coremltools' own name for it
from coremltools.converters.mil.mil import types

from edgepack_targets.coreml.emulator import model as emulated
from edgepack_targets.coreml.emulator import proto

TARGETS = {15: ct.target.iOS15, 16: ct.target.iOS16, 17: ct.target.iOS17, 18: ct.target.iOS18}
_TYPES = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32}
random = np.random.default_rng(3)


@dataclass(frozen=True)
class Case:
    """An operator with parameters. build: variables -> what mb makes; formula: arrays -> expected.

    peer: whether coremltools' own value inference is right about it.
    """

    name: str
    build: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    formula: Callable[..., Any]
    since: int = 15
    until: int = 18
    tolerance: float = 1e-6
    peer: bool = True


def floats(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


def whole(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


def listed(results: Any) -> list[Any]:
    return list(results) if isinstance(results, tuple) else [results]


def variables(made: Any) -> list[Any]:
    """What a builder gives: one variable, or a tuple or list of them."""
    return list(made) if isinstance(made, tuple | list) else [made]


def check(cases: Sequence[Case], ios: int, *, half: bool = False) -> int:
    """All cases of an opset in one program: emulated, against their formulas. Gives how many.

    half: in half precision, with the tolerance of that.
    """
    cases = [case for case in cases if case.since <= ios <= case.until]
    names = [f"in_{n}_{m}" for n, case in enumerate(cases) for m in range(len(case.inputs))]
    arrays = dict(zip(names, itertools.chain(*(case.inputs for case in cases)), strict=True))
    counts: list[int] = []

    def build(**inputs: Any) -> tuple[Any, ...]:
        outputs: list[Any] = []
        for n, case in enumerate(cases):
            made = variables(case.build(*(inputs[f"in_{n}_{m}"] for m in range(len(case.inputs)))))
            named = [mb.identity(x=out, name=f"out_{n}_{m}") for m, out in enumerate(made)]
            counts.append(len(named))
            outputs += named
        return tuple(outputs)

    precision = {
        "compute_precision": ct.precision.FLOAT16,
        "pass_pipeline": ct.PassPipeline.DEFAULT,
    }
    found = predicted(convert(build, arrays, ios, **(precision if half else {})), arrays)
    for n, case in enumerate(cases):
        results = [found[f"out_{n}_{m}"] for m in range(counts[n])]
        wanted = listed(case.formula(*case.inputs))
        compare(f"{case.name} iOS {ios}", results, wanted, 0.02 if half else case.tolerance)
    return len(cases)


def peers(cases: Sequence[Case], ios: int) -> int:
    """Formulas against what coremltools infers of constants. Gives how many it has an opinion on."""
    asked = 0

    @mb.program(input_specs=[mb.TensorSpec((1,))], opset_version=TARGETS[ios])
    def program(x: Any) -> Any:
        nonlocal asked
        for case in cases:
            if not (case.peer and case.since <= ios <= case.until):
                continue
            made = variables(case.build(*(mb.const(val=array) for array in case.inputs)))
            if any(out.val is None for out in made):
                continue
            values = [np.asarray(out.val) for out in made]
            compare(f"peer of {case.name}", values, listed(case.formula(*case.inputs)), 1e-5)
            asked += 1
        return mb.identity(x=x)

    assert program is not None
    return asked


def convert(
    build: Callable[..., Any], arrays: dict[str, np.ndarray], ios: int, **options: Any
) -> Any:
    """A program of named inputs as a Core ML model."""
    from coremltools.converters.mil.mil import Function, Program

    program = Program()
    specs = {name: mb.placeholder(a.shape, _TYPES[str(a.dtype)]) for name, a in arrays.items()}
    with Function(specs, opset_version=TARGETS[ios]) as function:
        function.set_outputs(variables(build(**function.inputs)))
        program.add_function("main", function)
    settings = {"compute_precision": ct.precision.FLOAT32, "pass_pipeline": ct.PassPipeline.EMPTY}
    return ct.convert(
        program, convert_to="mlprogram", minimum_deployment_target=TARGETS[ios],
        skip_model_load=True, **(settings | options),
    )  # fmt: skip


def load(model: Any, mode: str = "exact") -> emulated.Model:
    """The model, emulated."""
    folder = Path(tempfile.mkdtemp()) / "model.mlpackage"
    model.save(str(folder))
    root = folder / "Data" / "com.apple.CoreML"
    spec = proto.messages().Model()
    spec.ParseFromString((root / "model.mlmodel").read_bytes())
    return emulated.load(spec, root, mode=mode)


def predicted(model: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return load(model).predict(arrays)


def compare(name: str, found: list[Any], wanted: list[Any], tolerance: float) -> None:
    """Raises AssertionError where results differ. tolerance: relative and absolute; 0 wants equality."""
    assert len(found) == len(wanted), f"{name}: {len(found)} results, not {len(wanted)}"
    for one, other in zip(found, wanted, strict=True):
        have, want = np.asarray(one), np.asarray(other)
        if want.shape == () and have.size == 1:
            have = have.reshape(())
        assert have.shape == want.shape, f"{name}: shape {have.shape}, not {want.shape}"
        close = np.isclose(
            have.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=tolerance,
            equal_nan=True,
        )  # fmt: skip
        assert close.all(), f"{name}: {have[~close][:5]} is not {want[~close][:5]}"
