"""A first edgepack.toml, from flags and what the model says of itself."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from edgepack import registry
from edgepack.config import Config, Model
from edgepack.inspecting import Found


def parsed(text: str) -> dict[str, Any]:
    """The TOML as plain data."""
    return tomllib.loads(text)


def toml_of(config: Config, found: Found) -> str:
    """The file's text: model, inputs and outputs as found, targets, and the choices left to the user."""
    assert isinstance(config.model, Model), "flags name one model"
    signature = found.signatures[-1]
    lines = ["schema = 1", "", "[model]", f"name = {_quoted(found.facts['model'])}"]
    lines += [f"source = {_quoted(config.model.source)}"]
    if config.model.source.partition(":")[0].endswith(".py"):
        lines += [
            "# files = []                      # weights the factory reads; part of every cache key",
            '# python = ".venv/bin/python"     # where the model\'s own packages are',
        ]
    for tensor in signature.inputs:
        shape = ", ".join(_quoted(a) if isinstance(a, str) else str(a) for a in tensor.shape)
        lines += ["", "[[model.inputs]]", f"name = {_quoted(tensor.name)}"]
        lines += [f"dtype = {_quoted(tensor.dtype)}", f"shape = [{shape}]"]
    for tensor in signature.outputs:
        lines += ["", "[[model.outputs]]", f"name = {_quoted(tensor.name)}"]
    ranges = {
        k.removeprefix("dimension "): v
        for k, v in found.facts.items()
        if k.startswith("dimension ")
    }
    if ranges and any(isinstance(a, str) for t in signature.inputs for a in t.shape):
        lines += ["", "[model.dimensions]"]
        for name, text in ranges.items():
            low, _, high = text.partition(" to ")
            lines.append(f"{_quoted(name)} = {{ min = {low}, max = {high}, fixed = {high} }}")
    lines += [
        "",
        "[data]",
        '# calibration = "data/calibration"   # images, audio, .npz, .npy, or "data.py:calibration"',
        '# validation = "data/validation"     # without it, samples are synthetic: weak evidence',
    ]
    for name, settings in config.targets.items():
        precisions = settings.get("precisions") or registry.find(name).target.default_precisions
        lines += ["", f"[targets.{name}]", f"precisions = {json.dumps(list(precisions))}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)
