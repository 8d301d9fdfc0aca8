"""ExecuTorch: .pte programs for Android and iOS, run by XNNPACK on the CPU."""

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
    name="executorch",
    python=">=3.11,<3.14",
    requirements=("torch==2.13.0", "executorch==1.5.1", "torchao==0.18.0", "numpy>=2.0,<2.5"),
    lock="lock.txt",
    probe=("torch", "executorch.exir"),
)

TARGET = Target(
    name="executorch",
    title="ExecuTorch",
    suffix=".pte",
    platforms=("android", "ios"),
    default_for=(),
    precisions=(
        Precision(name="fp32"),
        Precision(name="fp16"),
        Precision(name="int8", needs_calibration=True),
    ),
    default_precisions=("fp32",),
    convert_in=_ENVIRONMENT,
    run_in=_ENVIRONMENT,
    not_run="",
    dynamic=True,
    borrows=("edgepack_targets.coreml.emulator",),
    preload=(
        "torch",
        "executorch.exir",
        "executorch.backends.xnnpack.partition.xnnpack_partitioner",
    ),
    options=(
        Option(
            name="delegate",
            default="xnnpack",
            help="what runs the operators: xnnpack where it can, or the portable kernels alone",
            choices=("xnnpack", "portable"),
        ),
    ),
)


def convert(job: ConvertJob) -> Artifact:
    """The .pte a job asks for; errors as in `conversion.convert`."""
    from edgepack_targets.executorch import conversion

    return conversion.convert(job)


def run(job: RunJob) -> RunResult:
    """The outputs of a .pte on a job's samples; errors as in `running.run`."""
    from edgepack_targets.executorch import running

    return running.run(job)


def inspect(job: InspectJob) -> Inspection:
    """What a .pte says of itself; errors as in `inspection.inspect`."""
    from edgepack_targets.executorch import inspection

    return inspection.inspect(job)
