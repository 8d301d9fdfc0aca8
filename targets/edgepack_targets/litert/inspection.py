"""What a .tflite says of itself, whoever made it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgepack.wire.types import Inspection, InspectJob
from edgepack_targets.litert import model_file
from edgepack_targets.litert.model_file import ModelFile

_BYTES = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1}
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "int8": "int8", "uint8": "int8"}


def inspect(job: InspectJob) -> Inspection:
    """Signature, precision and operators of the artifact. Errors as in `model_file.read`."""
    model = model_file.read(Path(job.artifact))
    operators = Counter(o.name for g in model.subgraphs for o in g.operators)
    metadata = {
        "description": model.description,
        "schema_version": str(model.version),
        "signatures": ", ".join(e.key for e in model.entries if e.key),
        "subgraphs": str(len(model.subgraphs)),
        "metadata": ", ".join(model.metadata),
    }
    return Inspection(
        format=f"TFLite flatbuffer, schema version {model.version}",
        precision=precision_of(model),
        signature=model_file.signature_of(model, model.entries[0]),
        operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
        metadata={key: value for key, value in metadata.items() if value},
    )


def precision_of(model: ModelFile) -> str:
    """fp32, fp16 or int8 by what most of its weights are stored in; "other" for anything else.

    Integers count as weights only where a scale says what they stand for. A model without weights is
    what its computed tensors are.
    """
    weights: Counter[str] = Counter()
    computed: Counter[str] = Counter()
    seen = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            integer = not tensor.dtype.startswith(("float", "bfloat"))
            if integer and tensor.quantization is None:
                continue
            if tensor.constant is None:
                computed[tensor.dtype] += 1
            elif tensor.constant.buffer not in seen:
                seen.add(tensor.constant.buffer)
                weights[tensor.dtype] += tensor.constant.length // _BYTES.get(tensor.dtype, 1)
    for counts in (weights, computed):
        if counts:
            dtype = max(sorted(counts), key=counts.__getitem__)
            return _PRECISIONS.get(dtype, "other")
    return "fp32"
