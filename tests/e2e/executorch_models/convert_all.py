"""Converts all small models. Argument: the folder to write into."""

import json
import sys
from pathlib import Path

from networks import JOBS, SMALL, torch

from edgepack.errors import EdgepackError
from edgepack.wire import codec, tensors
from edgepack.wire.types import ConvertJob, Dimension, Recipe, Signature, TensorSpec
from edgepack_targets import executorch

out = Path(sys.argv[1])
signatures = {}


def specs(word, values, dynamic):
    axes = dynamic or [None] * len(values)
    return tuple(
        TensorSpec(
            name=f"{word} {index}",
            dtype=str(value.dtype).removeprefix("torch."),
            shape=tuple(
                (axes[index] or {}).get(a, n) and ("length" if a in (axes[index] or {}) else n)
                for a, n in enumerate(value.shape)
            ),
        )
        for index, value in enumerate(values)
    )


for name, (small, cases, dynamic) in SMALL.items():
    module = small.eval().requires_grad_(False)
    with torch.no_grad():
        results = [module(*case) for case in cases]
    tensors.save(out / f"{name}.in.npz", [[t.numpy() for t in case] for case in cases])
    tensors.save(out / f"{name}.ref.npz", [[t.numpy() for t in result] for result in results])
    shapes = None if dynamic is None else (dynamic,)
    torch.export.save(
        torch.export.export(module, cases[0], dynamic_shapes=shapes, strict=False),
        out / f"{name}.pt2",
    )
    grown = [i for i, t in enumerate(results[0]) if dynamic and t.shape != results[1][i].shape]
    axis = next(iter(dynamic[0])) if dynamic else 0
    varying = [{axis: 1} if i in grown else None for i in range(len(results[0]))]
    signatures[name] = Signature(
        name="forward",
        inputs=specs("in", cases[0], dynamic),
        outputs=specs("out", results[0], varying),
    )

made = {}
for label, (name, precision, delegate) in JOBS.items():
    job = ConvertJob(
        model=str(out / f"{name}.pt2"),
        signature=signatures[name],
        dimensions=(Dimension(name="length", minimum=2, maximum=40, fixed=8),),
        recipe=Recipe(target="executorch", precision=precision, options=(("delegate", delegate),)),
        base="",
        calibration=str(out / f"{name}.in.npz") if precision == "int8" else "",
        stem=label,
        out=str(out),
    )
    try:
        made[label] = {"model": name, "artifact": codec.encode(executorch.convert(job))}
    except EdgepackError as error:
        made[label] = {"model": name, "code": error.code, "said": f"{error.message}\n{error.why}"}
(out / "signatures.json").write_text(json.dumps(codec.encode(signatures)))
(out / "made.json").write_text(json.dumps(made))
