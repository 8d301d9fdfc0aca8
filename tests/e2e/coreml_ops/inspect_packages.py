"""Inspects packages one after another. Arguments: their paths.

Prints as JSON a list of [code, why] of each error, ["", ""] where there was none.
"""

from __future__ import annotations

import json
import sys

from edgepack.errors import EdgepackError
from edgepack.wire.types import InspectJob
from edgepack_targets import coreml


def main(paths: list[str]) -> None:
    answers = []
    for path in paths:
        try:
            coreml.inspect(InspectJob(artifact=path))
            answers.append(["", ""])
        except EdgepackError as error:
            answers.append([error.code, error.why])
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1:])
