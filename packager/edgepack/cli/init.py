"""`edgepack init`: write down what the flags and the model say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgepack.errors import EdgepackError


@click.command("init")
@click.argument("model")
@click.option("--target", "targets", multiple=True, metavar="NAME",
              help="A platform or a target. Repeat for more.  [default: android, ios]")  # fmt: skip
@click.option(
    "--precision", "precisions", multiple=True, metavar="[TARGET=]NAME", help="As in build."
)
@click.option("--input", "inputs", multiple=True, metavar="NAME:DTYPE[SHAPE]",
              help='An input, in order: --input "image:float32[1,3,224,224]".')  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an edgepack.toml that is there.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(**flags: Any) -> int:
    """Write an edgepack.toml for MODEL in this folder, its inputs and outputs read from the model.

    \b
    Example:
      edgepack init model.pt2 --target android
    """
    from edgepack import config, initing, inspecting
    from edgepack import plan as plans
    from edgepack.bundle import write_aside
    from edgepack.cli import flags as from_flags
    from edgepack.console import Console

    console = Console(json=flags["as_json"])
    path = Path(config.FILE_NAME)
    if path.exists() and not flags["force"]:
        raise EdgepackError(
            "E116", f"{path} is already here", help="Edit it, or pass --force to replace it."
        )
    if written := from_flags.config_file(flags["model"]):
        raise EdgepackError(
            "E204", f"{written} is no model", help="Name the model itself: edgepack init model.pt2.",
        )  # fmt: skip
    targets = flags["targets"] or ("android", "ios")
    loaded = from_flags.config_of({**flags, "targets": targets})
    found = inspecting.model(plans.resolve(loaded, Path("dist")), console)
    text = initing.toml_of(loaded.config, found)
    config.check(initing.parsed(text), text, path)
    write_aside(path, text.encode())
    if flags["as_json"]:
        console.answer({"path": str(path), "text": text})
    console.text(f"written {path}; now run: edgepack build")
    return 0
