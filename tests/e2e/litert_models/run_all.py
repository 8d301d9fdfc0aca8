"""Runs and inspects all that was converted, in the runtime's environment. Argument: the folder."""

import json
import sys
from pathlib import Path

from edgepack.wire import codec
from edgepack.wire.types import Artifact, InspectJob, RunJob
from edgepack_targets import litert

out = Path(sys.argv[1])
results = {}
for name, result in json.loads((out / "converted.json").read_text()).items():
    if "artifact" not in result:
        continue
    artifact = codec.decode(Artifact, result["artifact"])
    base = name.removesuffix("-fp16").removesuffix("-int8")
    job = RunJob(
        artifact=str(out / artifact.file),
        signature=artifact.signature,
        samples=str(out / f"{base}.in.npz"),
        out=str(out / f"{name}.out.npz"),
    )
    results[name] = {
        "run": codec.encode(litert.run(job)),
        "inspection": codec.encode(litert.inspect(InspectJob(artifact=job.artifact))),
    }
(out / "run.json").write_text(json.dumps(results))
