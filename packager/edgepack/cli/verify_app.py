"""`edgepack verify-app`: is this generated app well, as far as this machine can tell?"""

from __future__ import annotations

from pathlib import Path

import click

from edgepack.errors import ANSWER_IS_NO

LEVELS = ("render", "parse", "resources", "typecheck", "test", "assemble")


@click.command("verify-app")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--level", type=click.Choice(LEVELS), default="parse", show_default=True,
              help="How far to go; each level includes those before it.")  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(*, folder: Path, level: str, as_json: bool) -> int:
    """Prove that a generated app is well, without Google's and Apple's servers.

    render and parse need nothing more; the others use tools that `make app-tools` sets up in a
    checkout of edgepack. A level that could not be reached is exit code 1, never a pass.

    \b
    Example:
      edgepack verify-app dist/flowers/apps/android --level assemble
    """
    import msgspec

    from edgepack.console import Console
    from edgepack.verifying import ladder, tools

    console = Console(json=as_json)

    def tell(rung: ladder.Rung) -> None:
        console.say(f"{rung.level:<11} {rung.verdict:<24} {rung.seconds:>7.1f} s")

    climb = ladder.climb(folder, level, tell)
    if as_json:
        console.answer({**msgspec.to_builtins(climb), "tools": tools.versions()})
    for rung in climb.rungs:
        console.text(f"{rung.level:<10} {rung.verdict}")
        for line in rung.proved:
            console.text(f"  {line}")
        if rung.message:
            code = f"{rung.code} " if rung.code else ""
            console.text(f"  {code}{rung.message}")
            for line in rung.why.splitlines():
                console.text(f"    {line}")
            if rung.help:
                console.text(f"  help: {rung.help}")
    if not climb.passed:
        console.text(f"level {level} was not reached")
    return 0 if climb.passed else ANSWER_IS_NO
