"""The jobs that need the source model itself: export, reference run, sample function.

They run in the user's Python, because a factory imports the user's packages; converters see only the
exported programs and samples that these jobs write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire import progress, tensors
from edgepack.wire.types import (
    ExportJob,
    ExportResult,
    ReferenceJob,
    SamplesJob,
    SamplesResult,
)
from edgepack_targets.sources import exporting, loading, user_code

if TYPE_CHECKING:
    import numpy as np


def export(job: ExportJob) -> ExportResult:
    """Load the model, check it, write one .pt2 per form.

    Raises what `loading.load` and `exporting.export_forms` raise.
    """
    progress.report("loading the model")
    loaded = loading.load(job.source)
    progress.report("exporting")
    return exporting.export_forms(job, loaded)


def reference(job: ReferenceJob) -> int:
    """Run the source model on every case of job.samples, write its outputs; returns the number of cases.

    Raises E220 when an output is NaN or Inf, E214 when the model fails on a case.
    """
    import torch

    loaded = loading.load(job.source)
    torch.manual_seed(0)
    cases = []
    total = tensors.count(Path(job.samples))
    with torch.inference_mode():
        for number, case in enumerate(tensors.load(Path(job.samples))):
            arguments = tuple(torch.from_numpy(array) for array in case)
            leaves = [
                leaf for _, leaf in exporting.call(loaded.module, arguments, f"sample {number}")
            ]
            arrays = [leaf.numpy() for leaf in leaves]
            for spec, array in zip(job.signature.outputs, arrays, strict=True):
                _refuse_nonfinite(spec.name, number, array)
            # A model may return its input or a state it will overwrite in the next call.
            cases.append([array.copy() for array in arrays])
            progress.report("reference", number + 1, total)
    tensors.save(Path(job.out), cases)
    return len(cases)


def samples(job: SamplesJob) -> SamplesResult:
    """Run the user's sample function and write its cases.

    A case is a dict of arrays by input name, a sequence of arrays in input order, or one array;
    numpy arrays or torch tensors. Raises E206, E207, E221.
    """
    location = Path(job.location)
    function = user_code.function_in(user_code.import_file(job.location, job.project), job.function)
    iterator = user_code.call(lambda: iter(function()), f"{job.function}()", location)
    names = job.names
    cases: list[list[np.ndarray[Any, Any]]] = []
    end = object()
    while len(cases) < job.limit:
        case = user_code.call(lambda: next(iterator, end), f"{job.function}()", location)
        if case is end:
            break
        if not names:
            names = tuple(case) if isinstance(case, dict) else ()
        cases.append(_arrays(case, names, len(cases), job.function))
        progress.report("samples", len(cases))
    if not cases:
        raise EdgepackError(
            "E221", f"{job.function}() yielded no samples", help="Yield at least one case."
        )
    tensors.save(Path(job.out), cases)
    return SamplesResult(
        cases=len(cases),
        names=names,
        dependencies=user_code.dependencies(job.project, job.location),
    )


def _arrays(case: Any, names: tuple[str, ...], number: int, function: str) -> list[Any]:
    """The arrays of one case in the order of `names`. Raises E221."""
    import numpy as np

    if isinstance(case, dict):
        missing = [n for n in names if n not in case]
        if missing:
            raise EdgepackError(
                "E221",
                f"{function}() case {number} has no {missing[0]!r}",
                why=f"It has: {', '.join(map(str, case))}. The model's inputs: {', '.join(names)}.",
                help="Yield a dict with every input's name.",
            )
        values = [case[n] for n in names]
    elif isinstance(case, (tuple, list)):
        values = list(case)
    else:
        values = [case]
    if names and len(values) != len(names):
        raise EdgepackError(
            "E221",
            f"{function}() case {number} has {len(values)} arrays",
            why=f"The model has {len(names)} inputs: {', '.join(names)}.",
            help="Yield one array per input, or a dict by input name.",
        )
    arrays = []
    for value in values:
        array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
        if array.dtype == object:
            raise EdgepackError(
                "E221",
                f"{function}() case {number} is not an array of numbers",
                why=f"It is {type(value).__name__}.",
                help="Yield numpy arrays or torch tensors.",
            )
        arrays.append(array)
    return arrays


def _refuse_nonfinite(name: str, case: int, array: np.ndarray[Any, Any]) -> None:
    import numpy as np

    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise EdgepackError(
            "E220",
            f"the source model's output {name!r} is NaN or Inf on sample {case}",
            why=f"{bad} of {array.size} values are not finite, before any conversion.",
            help="Check the sample and the model's numerics; nothing can be compared with NaN.",
        )
