"""`on_a_mac.py JOB.json`: run a job as on a Mac, with the emulator in the place of Core ML."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import stand_in

stand_in.install()

from edgepack.wire import codec  # noqa: E402
from edgepack.wire.types import RunJob  # noqa: E402
from edgepack_targets.coreml import running  # noqa: E402

running.sys = SimpleNamespace(platform="darwin")
job = codec.decode(RunJob, json.loads(Path(sys.argv[1]).read_text()))
print(json.dumps(codec.encode(running.run(job))))  # noqa: T201
