"""Core ML: ML Program packages for iOS, made by coremltools."""

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

_ENVIRONMENT = EnvironmentSpec(
    name="coreml",
    python=">=3.11,<3.14",
    requirements=("torch==2.13.0", "coremltools==9.0", "numpy>=2.0,<2.4"),
    lock="lock.txt",
    probe=("torch", "coremltools"),
)

TARGET = Target(
    name="coreml",
    title="Core ML",
    suffix=".mlpackage",
    platforms=("ios",),
    default_for=("ios",),
    precisions=(
        Precision(name="fp32"),
        Precision(name="fp16"),
        Precision(name="int8-weights", base="fp16"),
    ),
    default_precisions=("fp16",),
    convert_in=_ENVIRONMENT,
    run_in=_ENVIRONMENT,
    not_run="",
    dynamic=True,
    traces=True,
    reads=(".mlmodel",),
    preload=("torch", "coremltools", "torch.export.pt2_archive"),
    options=(
        Option(
            name="minimum_ios",
            default="17.0",
            help="the oldest iOS the artifact must run on",
            choices=("15.0", "16.0", "17.0", "18.0"),
        ),
        Option(
            name="runtime",
            default="auto",
            help="what runs the artifact: auto is Core ML on a Mac and the emulator elsewhere, "
            "both runs Core ML and measures how far the emulator is from it",
            choices=("auto", "core-ml", "emulator", "both"),
            stage="run",
        ),
    ),
)


def convert(job: ConvertJob) -> Artifact:
    """The package a job asks for; errors as in `conversion.convert` and `quantization.quantize`."""
    if job.recipe.precision == "int8-weights":
        from edgepack_targets.coreml import quantization

        return quantization.quantize(job)
    from edgepack_targets.coreml import conversion

    return conversion.convert(job)


def run(job: RunJob) -> RunResult:
    """The package's outputs on samples; errors as in `running.run`."""
    from edgepack_targets.coreml import running

    return running.run(job)


def inspect(job: InspectJob) -> Inspection:
    """What a package says of itself; errors as in `package.read`."""
    from edgepack_targets.coreml import inspection

    return inspection.inspect(job)
