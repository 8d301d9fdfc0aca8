"""LiteRT: .tflite files for Android, made by litert-torch and AI Edge Quantizer."""

from __future__ import annotations

from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    EnvironmentSpec,
    Inspection,
    InspectJob,
    Option,
    Precision,
    RunJob,
    RunResult,
    Target,
)

TARGET = Target(
    name="litert",
    title="LiteRT",
    suffix=".tflite",
    platforms=("android",),
    default_for=("android",),
    precisions=(
        Precision(name="fp32"),
        Precision(name="fp16", base="fp32"),
        Precision(name="int8", base="fp32", needs_calibration=True),
    ),
    default_precisions=("fp32",),
    convert_in=EnvironmentSpec(
        name="litert",
        python=">=3.11,<3.14",
        requirements=(
            "torch==2.13.0",
            "litert-torch==0.10.0",
            "ai-edge-quantizer==0.10.0",
            "ai-edge-litert==2.3.0",
            "numpy>=2.0,<2.5",
        ),
        lock="lock.txt",
        probe=("torch", "litert_torch", "ai_edge_quantizer.quantizer"),
    ),
    run_in=EnvironmentSpec(
        name="litert-runtime",
        python=">=3.11,<3.14",
        requirements=("ai-edge-litert==2.3.0", "numpy>=2.0,<2.5"),
        lock="runtime-lock.txt",
        probe=("ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated"),
    ),
    not_run="",
    dynamic=False,
    preload=("torch", "litert_torch"),
    options=(
        Option(
            name="float_operators",
            default="auto",
            help="int8: let the calibration samples decide which first operators stay in float32",
            choices=("auto", "none"),
        ),
    ),
)


def convert(job: ConvertJob) -> Artifact:
    """The .tflite a job asks for; errors as in `conversion.convert` and `quantization`."""
    if job.recipe.precision == "fp32":
        from edgepack_targets.litert import conversion

        return conversion.convert(job)
    from edgepack_targets.litert import quantization

    return quantization.quantize(job)


def run(job: RunJob) -> RunResult:
    """Run a .tflite on samples; errors as in `execution.run`."""
    from edgepack_targets.litert import execution

    return execution.run(job)


def inspect(job: InspectJob) -> Inspection:
    """What a .tflite says of itself; errors as in `model_file.read`."""
    from edgepack_targets.litert import inspection

    return inspection.inspect(job)
