"""`edgepack verify-app`: is this generated app well, as far as this machine can tell?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgepack.errors import ANSWER_IS_NO

if TYPE_CHECKING:
    from edgepack.console import Console
    from edgepack.verifying.ladder import Rung

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

    DIR is one app: a folder below dist/NAME/apps, or one that `edgepack app` made.

    \b
    render     every file that you did not change is as its template gave it; the models have their sha256
    parse      a real parser accepts every file; names in one file exist in the others
    resources  aapt2 links manifest and resources; permissions are those the code asks for
    typecheck  kotlinc or swiftc accept the code, warnings as errors
    test       the app's core passes its own tests on this machine
    assemble   an APK and an App Bundle are made, signed and accepted (Android)

    render and parse need nothing more than edgepack, on iOS resources neither. The others need the
    tools that `make app-tools` puts together in a checkout of edgepack, and a JDK 17 on Android;
    nothing is downloaded here. Nothing of the app is changed.

    Exit code 0: every rung up to the level passed. 1: one failed, or could not run here, which is
    never a pass. Nothing here runs on a phone or in Android Studio or Xcode: the app's own GitHub
    workflows and its test on a device do.

    \b
    Example:
      edgepack verify-app dist/flowers/apps/android --level assemble
    """
    import msgspec

    from edgepack.console import Console
    from edgepack.verifying import ladder, tools

    console = Console(json=as_json)
    climb = ladder.climb(
        folder, level, begun=lambda name: console.start(name, name),
        ended=lambda rung: _tell(console, rung),
    )  # fmt: skip
    if as_json:
        console.answer({**msgspec.to_builtins(climb), "tools": tools.versions()})
    if climb.verdict == "pass":
        console.text(f"level {level}: pass")
        return 0
    console.text(f"level {level}: not reached, {climb.reached or 'no rung'} was")
    return ANSWER_IS_NO


def _tell(console: Console, rung: Rung) -> None:
    """A rung for people, when it is done."""
    console.finish(rung.level)
    line = f"{rung.level:<11} {rung.verdict:<8} {rung.seconds:>7.1f} s"
    if console.json:
        console.say(line)
    console.text(line)
    for proved in rung.proved:
        console.text(f"  {proved}")
    if rung.message:
        console.text(f"  {rung.code} {rung.message}" if rung.code else f"  {rung.message}")
    for reason in rung.why.splitlines():
        console.text(f"    {reason}")
    if rung.help:
        console.text(f"  help: {rung.help}")
