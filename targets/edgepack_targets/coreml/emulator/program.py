"""A function of an ML Program as a flat list of calls.

Compiling finds every operator, converts every constant, gives every value a slot, and notes after which
call each slot can be emptied. Running is then a loop over calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import constants, errors, kinds, limits, precision
from edgepack_targets.coreml.emulator.operators import registry
from edgepack_targets.coreml.emulator.operators.registry import Output, Site
from edgepack_targets.coreml.emulator.precision import Mode
from edgepack_targets.coreml.emulator.storage import Storage

Watch = Callable[[str, str, Any], None]
"""Called with the operator, the name and the value of every result."""

# Operator failures: what torch raises when it is handed what it cannot compute.
_VENDOR = (
    ArithmeticError, AssertionError, IndexError, MemoryError, NotImplementedError, OverflowError,
    RuntimeError, TypeError, ValueError, KeyError, AttributeError,
)  # fmt: skip
_IOS_OF_OPSET = {5: 15, 6: 16, 7: 17, 8: 18, 9: 26}
_MOST_DEEP = 64
_MOST_AXES = 5
_ROUNDS = 0  # the slot that counts the rounds of loops


@dataclass(slots=True)
class Cell:
    """A state: what `read_state` reads and `write_state` replaces."""

    value: torch.Tensor


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value will be while the program runs."""

    index: int


@dataclass(slots=True)
class Step:
    """One call. given: its constants. taken: its other arguments by parameter, with their conversion."""

    site: Site
    function: Callable[..., Any]
    given: dict[str, Any]
    taken: tuple[tuple[str, Any, Callable[[Any], Any] | None], ...]
    gives: tuple[int, ...]
    finishes: tuple[Finish | None, ...]
    frees: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """How a result becomes what the program declares of it."""

    carrier: torch.dtype
    rounding: precision.Rounding | None
    shape: tuple[int | None, ...] | None
    fixed: bool


@dataclass(slots=True)
class Block:
    """A compiled block. outputs: slots or constants."""

    inputs: tuple[int, ...]
    steps: list[Step] = field(default_factory=list)
    outputs: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled function. inputs: slots by name; types: declared MIL types of its inputs by name."""

    block: Block
    inputs: dict[str, int]
    types: dict[str, Any]
    size: int
    ios: int
    outputs: tuple[str, ...]
    declared: dict[str, Any]
    has_half: bool


def compile_function(function: Any, storage: Storage, mode: Mode) -> Program:
    """The calls of a MIL function. Raises E202 for a malformed one, E511 for what is not supported."""
    ios = ios_of(function.opset)
    block = function.block_specializations.get(function.opset)
    if block is None:
        raise errors.malformed(f"the function has no block for its opset {function.opset!r}")
    compiler = _Compiler(storage, mode, ios)
    inputs = {named.name: compiler.slot(named.name) for named in function.inputs}
    compiled = compiler.block(block, tuple(inputs.values()))
    return Program(
        block=compiled,
        inputs=inputs,
        types={named.name: named.type for named in function.inputs},
        size=compiler.count,
        ios=ios,
        outputs=tuple(block.outputs),
        declared=compiler.declared,
        has_half=any(_is_half((_output_of(name, t),)) for name, t in compiler.declared.items()),
    )


def ios_of(opset: str) -> int:
    """The iOS an opset such as "CoreML7" came with. Raises E511 for one that is not known."""
    found = re.fullmatch(r"CoreML(\d+)", opset)
    number = int(found[1]) if found else 0
    if number not in _IOS_OF_OPSET:
        raise errors.unsupported(f"opset {opset!r}", why="It knows CoreML5 to CoreML9.")
    return _IOS_OF_OPSET[number]


class _Compiler:
    """Names in scope, and slots, while one function is compiled."""

    def __init__(self, storage: Storage, mode: Mode, ios: int) -> None:
        self.storage, self.mode, self.ios = storage, mode, ios
        self.count = _ROUNDS + 1
        self.names: dict[str, Any] = {}
        self.declared: dict[str, Any] = {}
        self._depth = 0

    def slot(self, name: str) -> int:
        """A new slot for a name; the same name in two blocks is two values."""
        self.names[name] = Slot(self.count)
        self.count += 1
        return self.count - 1

    def block(self, block: Any, inputs: tuple[int, ...]) -> Block:
        """A compiled block; names it defines are gone afterwards."""
        self._depth += 1
        if self._depth > _MOST_DEEP:
            raise errors.malformed("blocks are nested too deep")
        compiled = Block(inputs)
        first = self.count
        for operation in block.operations:
            self._operation(operation, compiled.steps)
        compiled.outputs = tuple(self._value(name) for name in block.outputs)
        _free(compiled, set(inputs) | set(range(first, self.count)))
        self._depth -= 1
        return compiled

    def _inner(self, block: Any) -> Block:
        outer = dict(self.names)
        inputs = tuple(self.slot(named.name) for named in block.inputs)
        compiled = self.block(block, inputs)
        self.names = outer
        return compiled

    def _value(self, name: str) -> Any:
        if name not in self.names:
            raise errors.malformed(f"the program uses {name!r} before it is there")
        return self.names[name]

    def _operation(self, operation: Any, steps: list[Step]) -> None:
        if not operation.outputs and operation.type != "write_state":
            raise errors.malformed(f"an operation {operation.type!r} has no result")
        for named in operation.outputs:
            self.declared[named.name] = named.type
        if operation.type == "const":
            value = constants.decode(operation.attributes["val"], self.storage)
            self.names[operation.outputs[0].name] = value
            return
        site = self._site(operation)
        if operation.type in _CONTROL:
            self._control(operation, site, steps)
            return
        found = registry.find(operation.type)
        arguments = self._arguments(operation, found)
        given = {"site": site} if found.wants_site else {}
        taken = []
        for name, value in arguments.items():
            convert = found.parameters[name].convert
            if _is_open(value):
                taken.append((name, value, convert))
            else:
                given[name] = _converted(site, name, value, convert)
        finishes = tuple(self._finish(out, moved=found.moves) for out in site.outputs)
        declared = all(finish is not None and finish.fixed for finish in finishes)
        function = limits.guarded(found.name, found.function, declared=declared)
        step = Step(site, function, given, tuple(taken), (), finishes)
        if not taken and found.fixed:
            for named, result in zip(operation.outputs, call(step, []), strict=False):
                self.names[named.name] = result
            return
        step.gives = tuple(self.slot(named.name) for named in operation.outputs)
        steps.append(step)

    def _site(self, operation: Any) -> Site:
        outputs = tuple(_output_of(named.name, named.type) for named in operation.outputs)
        name = outputs[0].name if outputs else operation.type
        axes = max((len(output.shape or ()) for output in outputs), default=0)
        if axes > _MOST_AXES and not operation.type.startswith("constexpr_"):
            raise errors.refused(
                f"{operation.type} {name!r} has {axes} axes",
                why=f"Core ML computes with tensors of at most {_MOST_AXES}.",
            )
        return Site(
            operator=operation.type,
            name=f"{operation.type} {name!r}",
            ios=self.ios,
            outputs=outputs,
            in_half=self.mode == "fp16-accumulate" and _is_half(outputs),
        )

    def _finish(self, output: Output, *, moved: bool) -> Finish | None:
        if output.kind is None:
            return None
        return Finish(
            carrier=output.kind.carrier,
            rounding=precision.rounding(output.kind, self.mode, moved=moved),
            shape=output.shape,
            fixed=output.shape is not None and None not in output.shape,
        )

    def _arguments(self, operation: Any, found: registry.Operator) -> dict[str, Any]:
        """Values by parameter: constants, slots, or tuples of both where several are bound."""
        values: dict[str, Any] = {
            name: constants.decode(value, self.storage)
            for name, value in operation.attributes.items()
            if name != "name"
        }
        for name, argument in operation.inputs.items():
            bound = tuple(self._bound(binding) for binding in argument.arguments)
            parameter = found.parameters.get(name)
            if parameter is not None and not parameter.variadic and len(bound) == 1:
                values[name] = bound[0]
            elif bound:
                values[name] = bound
        unknown = values.keys() - found.parameters.keys()
        if unknown:
            raise errors.unsupported(f"parameter {min(unknown)!r} of operator {found.name!r}")
        missing = [n for n, p in found.parameters.items() if p.required and n not in values]
        if missing:
            raise errors.malformed(f"an operation {found.name!r} lacks its {missing[0]!r}")
        return values

    def _bound(self, binding: Any) -> Any:
        if binding.WhichOneof("binding") == "name":
            return self._value(binding.name)
        return constants.decode(binding.value, self.storage)

    def _control(self, operation: Any, site: Site, steps: list[Step]) -> None:
        """Compile `cond` and `while_loop`: blocks within the block."""
        bound = {
            name: tuple(self._bound(binding) for binding in argument.arguments)
            for name, argument in operation.inputs.items()
        }
        blocks = [self._inner(block) for block in operation.blocks]
        wanted, function = _CONTROL[operation.type]
        if len(blocks) != 2 or len(bound.get(wanted, ())) < 1:  # noqa: PLR2004 both have two blocks
            raise errors.malformed(
                f"an operation {operation.type!r} lacks blocks or its {wanted!r}"
            )
        step = Step(
            site=site,
            function=function,
            given={"blocks": blocks},
            taken=((wanted, bound[wanted], None),),
            gives=tuple(self.slot(named.name) for named in operation.outputs),
            finishes=tuple(None for _ in operation.outputs),
        )
        steps.append(step)


def run(block: Block, slots: list[Any], watch: Watch | None = None) -> tuple[Any, ...]:
    """The block's outputs; its inputs are in their slots already."""
    for step in block.steps:
        results = call(step, slots, watch)
        for index, result in zip(step.gives, results, strict=False):
            slots[index] = result
        if watch is not None:
            for output, result in zip(step.site.outputs, results, strict=False):
                watch(step.site.operator, output.name, result)
        for index in step.frees:
            slots[index] = None
    return tuple(resolved(value, slots) for value in block.outputs)


def call(step: Step, slots: list[Any], watch: Watch | None = None) -> tuple[Any, ...]:
    """One call's results as the program declares them. Raises E509."""
    arguments = dict(step.given)
    try:
        for name, value, convert in step.taken:
            found = resolved(value, slots)
            arguments[name] = found if convert is None else convert(found)
        if "blocks" in arguments:
            results = step.function(slots=slots, watch=watch, **arguments)
        else:
            results = step.function(**arguments)
    except EdgepackError as error:
        if step.site.name in error.message:
            raise
        raise type(error)(
            error.code, f"{step.site.name}: {error.message}", why=error.why
        ) from error
    except _VENDOR as error:
        why = f"{type(error).__name__}: {error}"
        raise errors.failed(f"{step.site.name} cannot be computed", why=why) from error
    if not isinstance(results, tuple):
        results = (results,)
    return tuple(
        result if finish is None else _finished(result, finish, step.site, arguments)
        for result, finish in zip(results, step.finishes, strict=False)
    )


def resolved(value: Any, slots: list[Any]) -> Any:
    """A constant, or what is in a slot; tuples and lists of them likewise."""
    if type(value) is Slot:
        return slots[value.index]
    if type(value) is tuple:
        return tuple(slots[v.index] if type(v) is Slot else v for v in value)
    return value


def _finished(result: Any, finish: Finish, site: Site, made_from: dict[str, Any]) -> Any:
    if not isinstance(result, torch.Tensor):
        return result
    if finish.rounding is not None:
        result = precision.rounded(result, finish.rounding, made_from.values())
    if result.dtype is not finish.carrier:
        result = result.to(finish.carrier)
    if finish.shape is not None and result.shape != finish.shape:
        fits = len(finish.shape) == result.dim() and (
            not finish.fixed
            and all(
                want in (None, has) for want, has in zip(finish.shape, result.shape, strict=True)
            )
        )
        if not fits:
            raise errors.failed(
                f"{site.name} has the shape {list(result.shape)}",
                why=f"The program declares {['?' if n is None else n for n in finish.shape]}.",
            )
    return result


def _cond(
    pred: tuple[Any, ...], blocks: Sequence[Block], slots: list[Any], watch: Watch | None
) -> tuple[Any, ...]:
    return run(blocks[0] if bool(pred[0]) else blocks[1], slots, watch)


def _while(
    loop_vars: tuple[Any, ...], blocks: Sequence[Block], slots: list[Any], watch: Watch | None
) -> tuple[Any, ...]:
    condition, body = blocks
    values = loop_vars
    while (rounds := slots[_ROUNDS] or 0) < limits.MOST_ROUNDS:
        slots[_ROUNDS] = rounds + 1
        for index, value in zip(condition.inputs, values, strict=True):
            slots[index] = value
        if not bool(run(condition, slots, watch)[0]):
            return values
        for index, value in zip(body.inputs, values, strict=True):
            slots[index] = value
        values = run(body, slots, watch)
    raise errors.failed(f"its loops did not end within {limits.MOST_ROUNDS} rounds")


_CONTROL: dict[str, tuple[str, Callable[..., Any]]] = {
    "cond": ("pred", _cond),
    "while_loop": ("loop_vars", _while),
}


def _output_of(name: str, of_type: Any) -> Output:
    if of_type.WhichOneof("type") != "tensorType" or of_type.tensorType.dataType == kinds.STRING:
        return Output(name, None, None)
    tensor_type = of_type.tensorType
    return Output(name, constants.kind_of(tensor_type), constants.shape_of(tensor_type))


def _is_half(outputs: tuple[Output, ...]) -> bool:
    return bool(outputs) and outputs[0].kind is not None and outputs[0].kind.name == "fp16"


def _is_open(value: Any) -> bool:
    """Whether a value, or one of several, is known only when the program runs."""
    if isinstance(value, tuple):
        return any(isinstance(v, Slot) for v in value)
    return isinstance(value, Slot)


def _converted(site: Site, name: str, value: Any, convert: Callable[[Any], Any] | None) -> Any:
    if convert is None:
        return value
    try:
        return convert(value)
    except (EdgepackError, TypeError, ValueError) as error:
        raise errors.malformed(
            f"{site.name} has a {name!r} of the wrong kind", why=str(error)
        ) from error


def _free(block: Block, own: set[int]) -> None:
    """Note for each step which of the block's own slots nobody needs after it."""
    needed = {value.index for value in block.outputs if isinstance(value, Slot)}
    for step in reversed(block.steps):
        used = _used(step) & own
        step.frees = tuple(sorted((used | set(step.gives)) - needed))
        needed |= used


def _used(step: Step) -> set[int]:
    """Slots a step reads, its inner blocks included."""
    found: set[int] = set()
    for _, value, _ in step.taken:
        values = value if isinstance(value, tuple) else (value,)
        found |= {v.index for v in values if isinstance(v, Slot)}
    for block in step.given.get("blocks", ()):
        found |= {v.index for v in block.outputs if isinstance(v, Slot)}
        for inner in block.steps:
            found |= _used(inner)
    return found
