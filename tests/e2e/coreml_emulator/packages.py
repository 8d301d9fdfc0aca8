"""Writes packages of every kind of input, output and structure. Argument: the folder to write into.

Made by coremltools alone, out of its own builder; nothing of edgepack takes part.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import get_new_symbol, types
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

RANDOM = np.random.default_rng(7)


def convert(program: Any, **given: Any) -> Any:
    settings = {
        "convert_to": "mlprogram", "minimum_deployment_target": ct.target.iOS17,
        "compute_precision": ct.precision.FLOAT32, "skip_model_load": True, **given,
    }  # fmt: skip
    return ct.convert(program, **settings)


def ranged() -> Any:
    """scores = 2x + 1, x of (1 to 6, 4)."""

    @Builder.program(
        input_specs=[Builder.TensorSpec((get_new_symbol(), 4))], opset_version=ct.target.iOS17
    )
    def program(x):
        return Builder.add(x=Builder.mul(x=x, y=2.0), y=1.0, name="scores")

    shape = ct.Shape((ct.RangeDim(1, 6, default=2), 4))
    return convert(program, inputs=[ct.TensorType("x", shape)])


def listed() -> Any:
    """scores = 2x, x of (1, 4), (2, 4) or (6, 4)."""

    @Builder.program(
        input_specs=[Builder.TensorSpec((get_new_symbol(), 4))], opset_version=ct.target.iOS17
    )
    def program(x):
        return Builder.mul(x=x, y=2.0, name="scores")

    shapes = ct.EnumeratedShapes([[1, 4], [2, 4], [6, 4]], default=[1, 4])
    return convert(program, inputs=[ct.TensorType("x", shapes)])


def optional() -> Any:
    """total = x + shift; shift (2,) is 5 if it is left out."""

    @Builder.program(
        input_specs=[Builder.TensorSpec((2,)), Builder.TensorSpec((2,))],
        opset_version=ct.target.iOS17,
    )
    def program(x, shift):
        return Builder.add(x=x, y=shift, name="total")

    default = np.full((2,), 5, np.float32)
    inputs = [ct.TensorType("x", (2,)), ct.TensorType("shift", (2,), default_value=default)]
    return convert(program, inputs=inputs)


def dtypes() -> Any:
    """half = h * 3 in fp16; whole = n + 1 in int32; least = the smallest of h, without axes."""

    @Builder.program(
        input_specs=[Builder.TensorSpec((1, 3), types.fp16), Builder.TensorSpec((1,), types.int32)],
        opset_version=ct.target.iOS17,
    )
    def program(h, n):
        least = Builder.reduce_min(x=h, name="least")
        return (
            Builder.mul(x=h, y=np.float16(3), name="half"),
            Builder.add(x=n, y=1, name="whole"),
            least,
        )

    inputs = [
        ct.TensorType("h", (1, 3), dtype=np.float16),
        ct.TensorType("n", (1,), dtype=np.int32),
    ]
    return convert(program, inputs=inputs)


def images() -> Any:
    """Each image goes out as it came in, colors times 0.5 plus 10 by scale and bias."""
    shapes = {"rgb": (1, 3, 4, 6), "bgr": (1, 3, 4, 6), "gray": (1, 1, 4, 6), "deep": (1, 1, 4, 6)}
    specs = [Builder.TensorSpec(shape) for shape in shapes.values()]

    @Builder.program(input_specs=specs, opset_version=ct.target.iOS17)
    def program(rgb, bgr, gray, deep):
        first = Builder.slice_by_index(
            x=bgr, begin=[0, 0, 0, 0], end=[1, 1, 4, 6], stride=[1, 1, 1, 1], name="first"
        )
        return (
            Builder.identity(x=rgb, name="rgb_out"), Builder.identity(x=bgr, name="bgr_out"),
            Builder.mul(x=gray, y=1.0, name="gray_out"), Builder.mul(x=deep, y=2.0, name="deep_out"), first,
        )  # fmt: skip

    layouts = (
        ct.colorlayout.RGB, ct.colorlayout.BGR, ct.colorlayout.GRAYSCALE, ct.colorlayout.GRAYSCALE_FLOAT16,
    )  # fmt: skip
    inputs = [
        ct.ImageType(name, shape, color_layout=layout, scale=scale, bias=bias)
        for (name, shape), layout, scale, bias in zip(
            shapes.items(), layouts, (0.5, 1, 1, 1), ([10, 10, 10], [0, 0, 0], 0, 0), strict=True
        )
    ]
    outputs = [
        ct.ImageType(f"{name}_out", color_layout=layout)
        for name, layout in zip(shapes, layouts, strict=True)
    ]
    program.functions["main"].set_output_types([*outputs, ct.TensorType("first")])
    return convert(program, inputs=inputs)


def sized_images() -> Any:
    """Twice the image, of 2x2 or 4x8 (height x width)."""
    height, width = get_new_symbol(), get_new_symbol()

    @Builder.program(
        input_specs=[Builder.TensorSpec((1, 1, height, width))], opset_version=ct.target.iOS17
    )
    def program(picture):
        return Builder.mul(x=picture, y=2.0, name="bright")

    shapes = ct.EnumeratedShapes([[1, 1, 2, 2], [1, 1, 4, 8]], default=[1, 1, 2, 2])
    kind = ct.ImageType("picture", shapes, color_layout=ct.colorlayout.GRAYSCALE)
    return convert(program, inputs=[kind])


def ranged_images() -> Any:
    """Twice the image, height 2 to 4, width 3 to 9."""
    height, width = get_new_symbol(), get_new_symbol()

    @Builder.program(
        input_specs=[Builder.TensorSpec((1, 3, height, width))], opset_version=ct.target.iOS17
    )
    def program(picture):
        return Builder.mul(x=picture, y=2.0, name="bright")

    shape = ct.Shape((1, 3, ct.RangeDim(2, 4), ct.RangeDim(3, 9)))
    return convert(
        program, inputs=[ct.ImageType("picture", shape, color_layout=ct.colorlayout.RGB)]
    )


def _labelled(labels: list[Any]) -> Any:
    @Builder.program(input_specs=[Builder.TensorSpec((1, 3))], opset_version=ct.target.iOS17)
    def program(x):
        return Builder.softmax(x=x, axis=-1, name="probabilities")

    return convert(program, classifier_config=ct.ClassifierConfig(labels))


def classifier() -> Any:
    """The softmax of x (1, 3) as cat, dog and bird."""
    return _labelled(["cat", "dog", "bird"])


def numbered() -> Any:
    """As `classifier`, with the classes 7, 8 and 9."""
    return _labelled([7, 8, 9])


def stateful() -> Any:
    """total = state = state + x, in fp16."""

    @Builder.program(
        input_specs=[
            Builder.TensorSpec((1, 2), types.fp16),
            Builder.StateTensorSpec((1, 2), types.fp16),
        ],
        opset_version=ct.target.iOS18,
    )
    def program(x, kept):
        total = Builder.add(x=Builder.read_state(input=kept), y=x)
        return Builder.identity(
            x=Builder.coreml_update_state(state=kept, value=total), name="total"
        )

    return convert(program, minimum_deployment_target=ct.target.iOS18)


def looping() -> Any:
    """result = x doubled until its sum is 100 or more, negated if x's sum was below 1."""

    @Builder.program(input_specs=[Builder.TensorSpec((1, 3))], opset_version=ct.target.iOS17)
    def program(x):
        def condition(value):
            return Builder.less(x=Builder.reduce_sum(x=value, keep_dims=False), y=100.0)

        def body(value):
            return Builder.mul(x=value, y=2.0)

        doubled = Builder.while_loop(_cond=condition, _body=body, loop_vars=(x,))
        small = Builder.less(x=Builder.reduce_sum(x=x, keep_dims=False), y=1.0)
        return Builder.cond(
            pred=small,
            _true_fn=lambda: Builder.mul(x=doubled, y=-1.0),
            _false_fn=lambda: Builder.identity(x=doubled),
            name="result",
        )

    return convert(program)


def network(channels: int = 8) -> Any:
    """Convolution, relu, mean, linear: x (1, 3, 8, 8) to scores (1, 5)."""
    weights = [
        RANDOM.normal(size=s).astype(np.float32) for s in ((channels, 3, 3, 3), (5, channels))
    ]

    @Builder.program(input_specs=[Builder.TensorSpec((1, 3, 8, 8))], opset_version=ct.target.iOS18)
    def program(x):
        hidden = Builder.relu(x=Builder.conv(x=x, weight=weights[0], pad_type="same"))
        mean = Builder.reduce_mean(x=hidden, axes=[2, 3], keep_dims=False)
        return Builder.linear(x=mean, weight=weights[1], name="scores")

    return program


def plain() -> Any:
    """`network` with float weights."""
    return convert(network(), minimum_deployment_target=ct.target.iOS18)


def compressed() -> Any:
    """`network` with weights of 4 bits by a table, and 8 bits."""
    model = convert(network(64), minimum_deployment_target=ct.target.iOS18)
    table = cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=16)
    eight = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=16)
    small = cto.palettize_weights(model, cto.OptimizationConfig(op_type_configs={"conv": table}))
    return cto.linear_quantize_weights(
        small, cto.OptimizationConfig(op_type_configs={"linear": eight})
    )


def recurrent() -> Any:
    """states (40, 1, 24) of an LSTM in half precision, x of (40, 1, 48); its weights beside it."""
    random = np.random.default_rng(11)
    weights = {
        "weight_ih": random.normal(size=(96, 48)) / 6, "weight_hh": random.normal(size=(96, 24)) / 4,
        "bias": random.normal(size=96) / 4,
    }  # fmt: skip
    weights = {name: array.astype(np.float16) for name, array in weights.items()}
    np.savez(Path(sys.argv[1]) / "recurrent.npz", **weights)

    @Builder.program(
        input_specs=[Builder.TensorSpec((40, 1, 48), dtype=types.fp16)],
        opset_version=ct.target.iOS17,
    )
    def program(x):
        zeros = np.zeros((1, 24), np.float16)
        return Builder.lstm(
            x=x, initial_h=zeros, initial_c=zeros, output_sequence=True, name="states", **weights
        )[0]

    return convert(program, compute_precision=ct.precision.FLOAT16)


def functions(out: Path) -> None:
    """The functions "double" (y = 2x) and "square" (y = x * x, the default) on x (2,)."""

    @Builder.program(input_specs=[Builder.TensorSpec((2,))], opset_version=ct.target.iOS18)
    def double(x):
        return Builder.mul(x=x, y=2.0, name="y")

    @Builder.program(input_specs=[Builder.TensorSpec((2,))], opset_version=ct.target.iOS18)
    def square(x):
        return Builder.mul(x=x, y=x, name="y")

    made = {}
    for name, program in (("double", double), ("square", square)):
        made[name] = out / f"part-{name}.mlpackage"
        convert(program, minimum_deployment_target=ct.target.iOS18).save(str(made[name]))
    several = ct.utils.MultiFunctionDescriptor()
    for name, path in made.items():
        several.add_function(str(path), src_function_name="main", target_function_name=name)
    several.default_function_name = "square"
    ct.utils.save_multifunction(several, str(out / "functions.mlpackage"))


def others(out: Path) -> None:
    """Models that hold no ML Program: a neural network, and a pipeline of two ML Programs."""
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(3))], [("y", datatypes.Array(3))], disable_rank5_shape_mapping=True
    )
    builder.add_activation("relu", "RELU", "x", "y")
    ct.models.MLModel(builder.spec, skip_model_load=True).save(str(out / "network.mlmodel"))
    spec = ct.proto.Model_pb2.Model(specificationVersion=7)
    for _ in range(2):
        spec.pipeline.models.add(specificationVersion=7).mlProgram.SetInParent()
    (out / "pipeline.mlmodel").write_bytes(spec.SerializeToString())
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    spec.treeEnsembleRegressor.SetInParent()
    (out / "trees.mlmodel").write_bytes(spec.SerializeToString())


MODELS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        ranged, listed, optional, dtypes, images, sized_images, ranged_images, classifier, numbered,
        stateful, looping, plain, compressed, recurrent,
    )
}  # fmt: skip


def main(out: Path, names: list[str]) -> None:
    for name in names or list(MODELS):
        MODELS[name]().save(str(out / f"{name}.mlpackage"))
    if not names:
        functions(out)
        others(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
