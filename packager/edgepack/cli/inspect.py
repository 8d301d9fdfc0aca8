"""`edgepack inspect`: what a model or an artifact takes and gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec


@click.command("inspect")
@click.argument("model", metavar="FILE")
@click.option("--input", "inputs", multiple=True, metavar="NAME:DTYPE[SHAPE]",
              help='An input, in order: --input "image:float32[1,3,224,224]".')  # fmt: skip
@click.option(
    "--model", "model_name", metavar="NAME", help="Which of several models in edgepack.toml."
)
@click.option(
    "--allow-pickle", is_flag=True, help="Trust the model's files and execute their pickles."
)
@click.option(
    "--program", is_flag=True, help="Print the program, an operation in each line (.mlpackage)."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(**flags: Any) -> int:
    """Show the signature, size and operators of FILE: a source model or an artifact.

    \b
    Example:
      edgepack inspect model.tflite
    """
    from edgepack import inspecting, registry
    from edgepack import plan as plans
    from edgepack.cli import flags as from_flags
    from edgepack.console import Console

    console = Console(json=flags["as_json"])
    path = Path(flags["model"])
    registered = registry.for_suffix(path.suffix)
    if registered is not None:
        found = inspecting.artifact(path, registered, console)
    else:
        loaded = from_flags.only(from_flags.config_of(flags), flags["model_name"])
        targets: dict[str, dict[str, Any]] = {"litert": {}, "executorch": {}}
        loaded = msgspec.structs.replace(
            loaded, config=msgspec.structs.replace(loaded.config, targets=targets, apps={})
        )
        found = inspecting.model(plans.resolve(loaded, loaded.folder / "dist"), console)
    if flags["as_json"]:
        console.answer(found)
        return 0
    for name, value in found.facts.items():
        console.text(f"{name:<10} {value}")
    for signature in found.signatures:
        console.text(f"signature  {signature.name}")
        for role, tensors in (("input", signature.inputs), ("output", signature.outputs)):
            for t in tensors:
                quantized = (
                    f"  scale {t.quantization.scales[0]:.6g} zero {t.quantization.zero_points[0]}"
                    if t.quantization
                    else ""
                )
                console.text(f"  {role:<8} {t.name}: {t.dtype}{list(t.shape)}{quantized}")
    rows = [
        (name, str(count)) for name, count in sorted(found.operators.items(), key=lambda i: -i[1])
    ]
    console.text()
    console.table("", ("operator", "times"), rows)
    if flags["program"]:
        console.text()
        for line in found.program or ["This kind of file shows no program."]:
            console.text(line)
    return 0
