"""Runs all that was converted, without the converter. Argument: the folder."""

import json
import sys
from pathlib import Path

from edgepack.wire import codec
from edgepack.wire.types import Artifact, RunJob
from edgepack_targets import executorch

out = Path(sys.argv[1])
ran = {}
for label, made in json.loads((out / "made.json").read_text()).items():
    if "artifact" in made:
        artifact = codec.decode(Artifact, made["artifact"])
        job = RunJob(
            artifact=str(out / artifact.file),
            signature=artifact.signature,
            samples=str(out / f"{made['model']}.in.npz"),
            out=str(out / f"{label}.out.npz"),
        )
        ran[label] = codec.encode(executorch.run(job))
(out / "ran.json").write_text(json.dumps(ran))
assert "executorch.exir" not in sys.modules, "running must not import the converter"
