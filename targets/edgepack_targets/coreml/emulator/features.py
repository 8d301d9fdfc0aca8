"""Between an app's arrays and images and a program's tensors.

A model describes what an app feeds it and gets from it; its program has types of its own. Where both say
something, a value must satisfy both: sizes in the range or the list of the description, in the fixed sizes
of the program's type. Numbers of another dtype are cast, as Core ML does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgepack_targets.coreml.emulator import constants, errors, limits
from edgepack_targets.coreml.emulator.images import Image
from edgepack_targets.coreml.emulator.kinds import Kind
from edgepack_targets.coreml.emulator.precision import to_half

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Bounds = tuple[tuple[int, int], ...]

_NUMPY = {"uint16": np.uint16, "uint32": np.uint32}
# FeatureTypes.proto, ArrayFeatureType.ArrayDataType.
_ARRAYS = {
    65568: np.float32, 65600: np.float64, 65552: np.float16, 131104: np.int32, 131080: np.int8,
}  # fmt: skip
_OPEN = -1
"""What a range has as its upper end when there is none."""


@dataclass(frozen=True, slots=True)
class Input:
    """What an app feeds. shape: of the program, None where open. bounds: least and largest sizes.

    listed: the only shapes, if there is a list. default: what stands for a value that is not given.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...] | None
    bounds: Bounds
    listed: frozenset[Shape]
    image: Image | None
    default: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Output:
    """What an app gets. source: the program's name of it. dtype: of its array; None for no array."""

    name: str
    source: str
    dtype: Any
    image: Image | None


def inputs_of(description: Any, types: Mapping[str, Any]) -> tuple[Input, ...]:
    """The inputs of a description, each with the program's type of it.

    types: of the program's inputs that are tensors. Raises E202 if description and program do not agree,
    E511 for inputs that are neither array nor image.
    """
    known = {feature.name for feature in description.input}
    for name in types:
        if name not in known:
            raise errors.malformed(f"the model's description lacks its program's input {name!r}")
    found = []
    for feature in description.input:
        if feature.name not in types:
            raise errors.malformed(
                f"the model's program lacks its described input {feature.name!r}"
            )
        found.append(_input(feature, types[feature.name]))
    return tuple(found)


def outputs_of(
    description: Any, results: Iterable[str], declared: Mapping[str, Any]
) -> tuple[Output, ...]:
    """The outputs of a description, each with its name in the program.

    results: the program's outputs; declared: its types by name. The dictionary of a classifier has a
    name of its own in the description. Raises E202 for an output that the program does not have.
    """
    names = {feature.name for feature in description.output}
    others = [
        name
        for name in results
        if name not in names
        and name in declared
        and declared[name].WhichOneof("type") == "dictionaryType"
    ]
    found = []
    for feature in description.output:
        source = feature.name
        form = feature.type.WhichOneof("Type")
        if source not in results and form == "dictionaryType" and others:
            source = others.pop(0)
        if source not in results:
            raise errors.malformed(f"the model's program lacks its described output {source!r}")
        found.append(_output(feature, source, declared.get(source)))
    return tuple(found)


def check_state(state_type: Any) -> None:
    """Raises E202 for a state of open sizes, E511 for one of too large a size or of an unknown dtype."""
    tensor_type = state_type.stateType.wrappedType.tensorType
    constants.fixed_shape(tensor_type)
    constants.kind_of(tensor_type)


def zeros(state_type: Any) -> torch.Tensor:
    """The first value of a state."""
    tensor_type = state_type.stateType.wrappedType.tensorType
    return torch.zeros(
        constants.fixed_shape(tensor_type), dtype=constants.kind_of(tensor_type).carrier
    )


def given(taken: tuple[Input, ...], values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Values as the program's tensors. Raises E507 for what does not fit."""
    if len(values) > len(taken) or not values.keys() <= {i.name for i in taken}:
        unknown = sorted(values.keys() - {i.name for i in taken})
        known = ", ".join(i.name for i in taken)
        raise errors.misfit(f"the model has no input {unknown[0]!r}", why=f"It has {known}.")
    tensors = {}
    for one in taken:
        if one.name in values:
            tensors[one.name] = _fed(one, values[one.name])
        elif one.default is not None:
            tensors[one.name] = one.default
        else:
            raise errors.misfit(f"the model's input {one.name!r} is missing")
    return tensors


def shown(outputs: tuple[Output, ...], found: Mapping[str, Any]) -> dict[str, Any]:
    """A program's results as an app sees them; arrays are copies. Raises E509 for what it cannot see."""
    return {output.name: _seen(output, found[output.source]) for output in outputs}


def _input(feature: Any, of_type: Any) -> Input:
    form = feature.type.WhichOneof("Type")
    tensor_type = of_type.tensorType
    kind, shape = constants.kind_of(tensor_type), constants.shape_of(tensor_type)
    if form == "imageType":
        image = Image.of(feature)
        bounds, listed = image.sizes(feature.type.imageType)
        return Input(feature.name, kind, shape, bounds, listed, image, None)
    if form != "multiArrayType":
        raise errors.unsupported(f"inputs such as {feature.name!r}, of type {form or 'unknown'}")
    array = feature.type.multiArrayType
    bounds, listed = _sizes(array)
    default = _default(array, kind) if feature.type.isOptional else None
    return Input(feature.name, kind, shape, bounds, listed, None, default)


def _sizes(array: Any) -> tuple[Bounds, frozenset[Shape]]:
    """The range of each axis, or the list of shapes; the shape itself where neither is given."""
    flexible = array.WhichOneof("ShapeFlexibility")
    if flexible == "enumeratedShapes":
        return (), frozenset(tuple(s.shape) for s in array.enumeratedShapes.shapes)
    if flexible == "shapeRange":
        ranges = array.shapeRange.sizeRanges
        return tuple((int(r.lowerBound), int(r.upperBound)) for r in ranges), frozenset()
    return tuple((int(n), int(n)) for n in array.shape), frozenset()


def _default(array: Any, kind: Kind) -> torch.Tensor:
    """What stands for an input that may be left out: its default value, 0 if it has none."""
    shape = tuple(array.shape)
    if min(shape, default=0) < 0:
        raise errors.malformed(f"an optional input has the shape {list(shape)}")
    limits.check(shape, "an optional input")
    field = array.WhichOneof("defaultOptionalValue")
    value = torch.tensor(getattr(array, field) if field else 0, dtype=torch.float64)
    value = value.half() if kind.name == "fp16" else value
    return value.to(kind.carrier).expand(shape)


def _output(feature: Any, source: str, of_type: Any) -> Output:
    form = feature.type.WhichOneof("Type")
    if form == "imageType":
        return Output(feature.name, source, None, Image.of(feature))
    dtype = None
    if form == "multiArrayType":
        dtype = _ARRAYS.get(feature.type.multiArrayType.dataType)
        if dtype is None and of_type is not None:
            kind = constants.kind_of(of_type.tensorType)
            dtype = _NUMPY.get(kind.name) or (np.float16 if kind.name == "fp16" else None)
    return Output(feature.name, source, dtype, None)


def _fed(one: Input, value: Any) -> torch.Tensor:
    if one.image is not None:
        array = one.image.planes(value)
    else:
        array = _plain(one.name, value)
        if one.shape is not None and {len(one.shape), array.ndim} == {0, 1} and array.size == 1:
            array = array.reshape((1,) * len(one.shape))
    _check_shape(one, array.shape)
    with np.errstate(all="ignore"):
        array = np.require(array, _dtype_of(one.kind), ["C", "W"])
    tensor = torch.from_numpy(array)
    return to_half(tensor) if one.kind.name == "fp16" else tensor


def _plain(name: str, value: Any) -> Array:
    """A value as an array of numbers. Raises E507."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise errors.misfit(f"input {name!r} is no array", why=str(error)) from error
    if array.dtype.kind not in "fiub":
        raise errors.misfit(f"input {name!r} does not hold numbers, but {array.dtype}")
    return array


def _check_shape(one: Input, shape: Shape) -> None:
    """Raises E507 unless both the program and the description take the shape."""
    fits = one.shape is None or (
        len(shape) == len(one.shape)
        and all(want in (None, has) for want, has in zip(one.shape, shape, strict=True))
    )
    if len(one.bounds) == len(shape):
        fits = fits and all(
            low <= has and (has <= high or high == _OPEN)
            for has, (low, high) in zip(shape, one.bounds, strict=True)
        )
    if one.listed:
        fits = fits and shape in one.listed
    if not fits:
        raise errors.misfit(
            f"input {one.name!r} has the shape {list(shape)}",
            why=f"The model takes {_wanted(one)}.",
        )


def _wanted(one: Input) -> str:
    """The shapes an input may have, for a message."""
    if one.listed:
        return " or ".join(str(list(shape)) for shape in sorted(one.listed))
    shape = one.shape
    if one.bounds and (shape is None or len(shape) == len(one.bounds)):
        sizes = [
            str(low) if low == high else f"{low} to {'any' if high == _OPEN else high}"
            for low, high in one.bounds
        ]
    else:
        sizes = ["any" if n is None else str(n) for n in shape or ()]
    return f"[{', '.join(sizes)}]"


def _seen(output: Output, value: Any) -> Any:
    if output.image is not None and isinstance(value, torch.Tensor):
        return output.image.pixels(value.numpy())
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        with np.errstate(all="ignore"):
            array = array.astype(output.dtype or array.dtype, copy=True)
        return array.reshape((1,)) if array.ndim == 0 else array
    if isinstance(value, str | int | float | dict):
        return value
    raise errors.failed(f"output {output.name!r} is not of a kind that an app can get")


def _dtype_of(kind: Kind) -> Any:
    """The numpy dtype of a kind's carrier."""
    return torch.empty(0, dtype=kind.carrier).numpy().dtype
