"""`edgepack explain`: what an error code means."""

from __future__ import annotations

import click


@click.command("explain")
@click.argument("code", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the answer as JSON on standard output."
)
def command(*, code: str | None, as_json: bool) -> int:
    """Explain an error CODE: what it is, why it is bad, what to do. Without CODE, list them all.

    \b
    Example:
      edgepack explain E108
    """
    from edgepack import error_codes
    from edgepack.console import Console
    from edgepack.errors import exit_code_of

    console = Console(json=as_json)
    documented = error_codes.load()
    if code is None:
        if as_json:
            console.answer(documented)
        for name, entry in documented.items():
            console.text(f"{name}  {entry.title}")
        return 0
    name, entry = error_codes.find(code, documented)
    if as_json:
        console.answer({"code": name, "exit_code": exit_code_of(name), "entry": entry})
        return 0
    console.text(f"{name}: {entry.title} (exit code {exit_code_of(name)})")
    for heading, text in (("what", entry.what), ("why", entry.why), ("instead", entry.instead)):
        console.text()
        console.text(f"{heading}: {text}")
    return 0
