"""What basic-pitch's own ONNX gives. Arguments: the network, the .npz of `check_third_parties.py`.

Prints as JSON {output of the package: decibels}, PSNR of the window where it is least, each output paired with
the one of the network's that it is nearest to.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnxruntime


def psnr(wanted: np.ndarray, found: np.ndarray) -> float:
    """Peak signal to noise in decibels."""
    noise, peak = float(np.mean((wanted - found) ** 2)), float(np.abs(wanted).max())
    return 10 * float(np.log10(peak**2 / max(noise, 1e-300)))


def main(network: str, arrays: str) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    (taken,) = (i.name for i in session.get_inputs())
    with np.load(arrays) as archive:
        found = {name: archive[name].astype(np.float64) for name in archive.files}
    (name,) = (n for n, value in found.items() if value.ndim == 4)
    windows = found.pop(name).astype(np.float32)
    wanted = [
        np.concatenate(o)
        for o in zip(*(session.run(None, {taken: w}) for w in windows), strict=True)
    ]
    answers = {}
    for name, value in found.items():
        alike = [w for w in wanted if w.shape == value.shape]
        nearest = min(alike, key=lambda w, value=value: float(np.mean((w - value) ** 2)))
        answers[name] = min(map(psnr, nearest, value))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
