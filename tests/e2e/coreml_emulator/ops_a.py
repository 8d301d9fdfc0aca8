"""Operators that compute, in the emulator: against formulas in numpy, and against coremltools' own evaluation.

Many uses make one program, which coremltools' builder writes and its converter serializes without passes, for
every opset, in single and in half precision. What the builder adds of default values is taken out again, so
that the emulator's own are what is tried. Prints how many uses, operators and peers there were; fails on the
first list of differences.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import ops_a_cases
import ops_a_single
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import types
from ops_a_cases import Case
from ops_a_formulas import FORMULAS

from edgepack_targets.coreml.emulator import model
from edgepack_targets.coreml.emulator.precision import MODES, Mode

TARGETS = {15: ct.target.iOS15, 16: ct.target.iOS16, 17: ct.target.iOS17, 18: ct.target.iOS18}
TYPES = {"f4": types.fp32, "f2": types.fp16, "i4": types.int32}
SINGLE, HALF = np.float32, np.float16
SUMS = {"linear", "matmul", "einsum", "conv", "conv_transpose", "scaled_dot_product_attention"}
MOST_STEPS = 16.0
"""Roundings that sums in half precision may differ by from an exact one, in these sizes."""


class Bench:
    """Cases of one opset in one dtype of floats, as one program. parameters: the dtype of constant floats."""

    def __init__(self, cases: list[Case], ios: int, floats: Any, parameters: Any) -> None:
        self.cases, self.ios = cases, ios
        self.inputs: dict[str, Any] = {}
        self.peers: dict[int, Any] = {}
        self.expected: list[Any] = []
        for number, case in enumerate(cases):
            inputs = {k: typed(v, floats) for k, v in case.inputs.items()}
            given = {
                k: typed(v, parameters if case.mixed else floats) for k, v in case.given.items()
            }
            for name, value in flat(inputs):
                self.inputs[f"c{number}_{name}"] = value
            arguments = {k: widened(v) for k, v in {**inputs, **given}.items()}
            with np.errstate(all="ignore"):
                formula = FORMULAS[case.op]
                by_place = isinstance(formula, np.ufunc)
                self.expected.append(
                    formula(*arguments.values()) if by_place else formula(**arguments)
                )
        self.floats, self.parameters = floats, parameters

    def program(self) -> Any:
        """The builder's program; coremltools' own values of cases whose inputs are made constants."""
        specs = [
            mb.TensorSpec(fed(v).shape, dtype=TYPES[fed(v).dtype.str[1:]])
            for v in self.inputs.values()
        ]
        names = list(self.inputs)
        source = f"lambda {', '.join(names)}: build(dict({', '.join(f'{n}={n}' for n in names)}))"
        return mb.program(input_specs=specs, opset_version=TARGETS[self.ios])(
            eval(source, {"build": self._build})  # noqa: S307 the builder reads the names of parameters
        )

    def _build(self, variables: dict[str, Any]) -> list[Any]:
        outputs = []
        for number, case in enumerate(self.cases):
            inputs: dict[str, Any] = {}
            for name, value in case.inputs.items():
                if isinstance(value, list):
                    inputs[name] = [variables[f"c{number}_{name}{i}"] for i in range(len(value))]
                    continue
                variable = variables[f"c{number}_{name}"]
                if not value.shape:
                    variable = mb.squeeze(x=variable, axes=[0])
                inputs[name] = (
                    mb.cast(x=variable, dtype="bool") if value.dtype == bool else variable
                )
            given = {
                k: typed(v, self.parameters if case.mixed else self.floats)
                for k, v in {**case.given, **case.untold}.items()
            }
            called = getattr(mb, case.op)(**inputs, **given, name=f"called{number}")
            outputs.append(shown(called, f"o{number}"))
            if self.floats is self.parameters is SINGLE and case.peer:
                self.peers[number] = self._peer(case, given)
        return outputs

    def _peer(self, case: Case, given: dict[str, Any]) -> Any:
        held = {k: typed(v, self.floats) for k, v in case.inputs.items()}
        copies = {
            k: [a.copy() for a in v] if isinstance(v, list) else v.copy() for k, v in held.items()
        }
        return getattr(mb, case.op)(**copies, **given).val

    def convert(self) -> Any:
        """The specification, without what the builder added to the cases, and the folder of its weights."""
        with contextlib.redirect_stderr(io.StringIO()):
            converted = ct.convert(
                self.program(), convert_to="mlprogram", minimum_deployment_target=TARGETS[self.ios],
                compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY,
                skip_model_load=True,
            )  # fmt: skip
        spec = converted.get_spec()
        function = spec.mlProgram.functions["main"]
        for operation in function.block_specializations[function.opset].operations:
            name = operation.outputs[0].name
            if name.startswith("called") and operation.type != "const":
                case = self.cases[int(name.removeprefix("called"))]
                for added in operation.inputs.keys() - case.inputs.keys() - case.given.keys():
                    del operation.inputs[added]
        return spec, Path(converted.weights_dir).parent, converted


def typed(value: Any, floats: Any) -> Any:
    """Floats in the dtype given; all else as it is."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [typed(v, floats) for v in value]
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value.astype(floats)
    return floats(value) if isinstance(value, float) else value


def widened(value: Any) -> Any:
    """Floats in double precision."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [widened(v) for v in value]
    is_float = isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
    return value.astype(np.float64) if is_float else value


def flat(inputs: dict[str, Any]) -> list[tuple[str, Any]]:
    """Arrays by name, those of a list by name and number."""
    found = []
    for name, value in inputs.items():
        found += (
            [(f"{name}{i}", v) for i, v in enumerate(value)]
            if isinstance(value, list)
            else [(name, value)]
        )
    return found


def fed(value: Any) -> Any:
    """What a model takes: booleans are fed as integers, scalars with an axis."""
    value = value.reshape(value.shape or (1,))
    return value.astype(np.int32) if value.dtype == bool else value


def shown(called: Any, name: str) -> Any:
    """A result in a dtype that a model may give."""
    if called.dtype in (types.fp32, types.fp16, types.int32):
        return mb.identity(x=called, name=name)
    return mb.cast(x=called, dtype="int32", name=name)


def differs(actual: Any, wanted: Any, steps: float) -> str:
    """What is wrong with an array; "" if nothing. steps: roundings to half precision it may be off by."""
    wanted = np.asarray(wanted)
    if tuple(actual.shape) != (wanted.shape or (1,)):
        return f"shape {actual.shape}, not {wanted.shape}"
    actual, wanted = actual.astype(np.float64).reshape(-1), wanted.astype(np.float64).reshape(-1)
    room = 4e-6 * (1 + np.abs(wanted)) + steps * 2.0**-11 * np.abs(wanted)
    room += (steps > 1) * steps * 2.0**-11
    with np.errstate(invalid="ignore"):
        off = np.abs(actual - wanted) > room
    off |= np.isnan(actual) != np.isnan(wanted)
    if not off.any():
        return ""
    at = int(np.argmax(off))
    return f"{int(off.sum())} of {off.size} values, such as {actual[at]} for {wanted[at]}"


def compare(bench: Bench, modes: tuple[Mode, ...]) -> tuple[list[str], int]:
    """Differences in all cases of a bench, and the number of peers compared."""
    spec, folder, kept = bench.convert()
    fed_values = {k: fed(v) for k, v in bench.inputs.items()}
    wrong, peers = [], 0
    for mode in modes:
        loaded = model.load(spec, folder, mode=mode)
        found, again = loaded.predict(fed_values), loaded.predict(fed_values)
        for number, case in enumerate(bench.cases):
            actual, said = (
                found[f"o{number}"],
                f"iOS{bench.ios} {bench.floats.__name__} {mode} {case.op}",
            )
            if not np.array_equal(actual, again[f"o{number}"], equal_nan=True):
                wrong.append(f"{said} changes what it was given {brief(case)}")
            half = bench.floats is HALF or case.given.get("dtype") == "fp16"
            steps = half * (MOST_STEPS if mode == "fp16-accumulate" and case.op in SUMS else 1.0)
            reason = differs(actual, bench.expected[number], steps)
            if reason:
                wrong.append(f"{said}: {reason} {brief(case)}")
            peer = bench.peers.get(number)
            if peer is not None and not half:
                peers += 1
                reason = differs(actual, peer, 0)
                if reason:
                    wrong.append(f"{said} against coremltools: {reason} {brief(case)}")
    del kept
    return wrong, peers


def brief(case: Case) -> str:
    """A case in a line."""
    parts = {k: v.shape if isinstance(v, np.ndarray) else v for k, v in case.given.items()}
    return f"{ {k: getattr(v, 'shape', '') for k, v in case.inputs.items()} } {parts}"


def main() -> None:
    """All cases, then what no formula says."""
    torch.set_num_threads(1)
    everything = list(ops_a_cases.cases())
    wrong, peers, uses = ops_a_single.differences(), 0, 0
    tried = (
        (15, SINGLE, SINGLE, MODES[:1]), (16, HALF, HALF, MODES[:1]), (17, SINGLE, HALF, MODES[:1]),
        (18, HALF, HALF, MODES), (18, SINGLE, SINGLE, MODES[:1]),
    )  # fmt: skip
    for ios, floats, parameters, modes in tried:
        chosen = [case for case in everything if case.since <= ios]
        found, compared = compare(Bench(chosen, ios, floats, parameters), modes)
        wrong, peers, uses = wrong + found, peers + compared, uses + len(chosen) * len(modes)
    operators = {case.op for case in everything} | ops_a_single.OPERATORS
    sys.stdout.write(f"uses {uses} operators {len(operators)} peers {peers}\n")
    sys.stderr.write("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
