"""What a package that others converted makes of silence. Arguments: the fetched package, a folder for a trace.

Prints as JSON {"outputs": {name: how many values are no number}, "origin": what tracing names, "sentence":
what stands out in the trace, "operators": those whose results are not finite, in their order}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgepack_targets.coreml import tracing
from edgepack_targets.coreml.emulator import model


def main(path: Path, folder: Path) -> dict[str, Any]:
    opened = model.open_package(path)
    (feature,) = opened.inputs
    silence = {feature.name: np.zeros(tuple(feature.type.multiArrayType.shape), np.float32)}
    outputs = opened.predict(silence)
    sentence = tracing.write(path, silence, folder)
    rows = json.loads((folder / tracing.LISTING).read_text())
    return {
        "outputs": {name: int(np.isnan(value).sum()) for name, value in outputs.items()},
        "origin": tracing.first_not_finite(path, silence),
        "sentence": sentence,
        "operators": [row["operator"] for row in rows if row["not_finite"]],
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
