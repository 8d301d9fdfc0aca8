"""Writes packages that edgepack did not make. Argument: the folder to write into.

network.mlpackage holds a neural network, sizes.mlpackage a program with enumerated shapes and an image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder
from coremltools.converters.mil.mil import get_new_symbol
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder


def main(out: Path) -> None:
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(3))], [("y", datatypes.Array(3))], disable_rank5_shape_mapping=True
    )
    builder.add_activation("relu", "RELU", "x", "y")
    network = ct.models.MLModel(builder.spec, skip_model_load=True)
    network.save(str(out / "network.mlmodel"))

    @Builder.program(
        input_specs=[Builder.TensorSpec((1, 3, 8, 8)), Builder.TensorSpec((get_new_symbol(), 4))]
    )
    def program(image, vector):
        weight = np.arange(40, dtype=np.float32).reshape(10, 4)
        return Builder.relu(x=image, name="sharp"), Builder.linear(
            x=vector, weight=weight, name="scores"
        )

    shapes = ct.EnumeratedShapes([[1, 4], [2, 4], [6, 4]], default=[1, 4])
    model = ct.convert(
        program,
        inputs=[
            ct.ImageType(name="image", shape=(1, 3, 8, 8), color_layout=ct.colorlayout.RGB),
            ct.TensorType(name="vector", shape=shapes),
        ],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.author = "Somebody"
    model.save(str(out / "sizes.mlpackage"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
