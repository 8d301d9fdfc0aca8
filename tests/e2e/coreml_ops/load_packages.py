"""Opens packages as coremltools does, and evaluates them. Arguments: a package and a case, repeated.

A case is an .npz with the inputs by name. Prints {package: {"outputs": {name: values}, "inputs": […]}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import coremltools as ct
import evaluator
import numpy as np


def main(arguments: list[str]) -> None:
    answers = {}
    for package, case in zip(arguments[::2], arguments[1::2], strict=True):
        model = ct.models.MLModel(package, skip_model_load=True)
        spec = ct.utils.load_spec(package)
        with np.load(case, allow_pickle=False) as archive:
            got = evaluator.evaluate(Path(package), {name: archive[name] for name in archive.files})
        answers[package] = {
            "inputs": [i.name for i in spec.description.input],
            "same": model.get_spec() == spec,
            "outputs": {name: value.tolist() for name, value in got.items()},
        }
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1:])
