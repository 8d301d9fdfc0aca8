"""What a person would write without edgepack: convert the vision model, run it, compare it.

`bare.py TARGET OUT`, in an environment that holds the converter and the model's packages.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from data import validation
from model import make_model


def litert(model: torch.nn.Module, cases: list[torch.Tensor], out: Path) -> list[np.ndarray]:
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    litert_torch.convert(model, (cases[0],)).export(str(out / "model.tflite"))
    runner = Interpreter(str(out / "model.tflite"), num_threads=2).get_signature_runner()
    return [runner(args_0=case.numpy())["output_0"] for case in cases]


def executorch(model: torch.nn.Module, cases: list[torch.Tensor], out: Path) -> list[np.ndarray]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    program = torch.export.export(model, (cases[0],))
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    (out / "model.pte").write_bytes(edge.to_executorch().buffer)
    method = Runtime.get().load_program(str(out / "model.pte")).load_method("forward")
    return [method.execute([case])[0].numpy().copy() for case in cases]


def coreml(model: torch.nn.Module, cases: list[torch.Tensor], out: Path) -> list[np.ndarray]:
    import coremltools

    program = torch.export.export(model, (cases[0],)).run_decompositions({})
    made = coremltools.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=coremltools.target.iOS17,
        compute_precision=coremltools.precision.FLOAT32,
        skip_model_load=True,
    )
    made.save(str(out / "model.mlpackage"))
    from edgepack_targets.coreml.emulator import model as emulated

    package = emulated.open_package(out / "model.mlpackage")
    (name,) = (feature.name for feature in package.inputs)
    return [next(iter(package.predict({name: case.numpy()}).values())) for case in cases]


def main(target: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = make_model()
    cases = [torch.from_numpy(case["image"]) for case in validation()]
    with torch.inference_mode():
        reference = [model(case).numpy() for case in cases]
    outputs = globals()[target](model, cases, out)
    worst = max(
        (np.abs(a - b).max() for a, b in zip(reference, outputs, strict=False)), default=0.0
    )
    print(f"{target}: {len(outputs)} cases, largest difference {worst:.3g}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
