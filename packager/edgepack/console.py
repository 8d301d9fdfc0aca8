"""The only module that prints. Standard error tells the story, standard output carries the answer."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from threading import Lock
from time import monotonic
from typing import Any

import msgspec
from rich.console import Console as RichConsole
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgepack.errors import EdgepackError

STAGE_WIDTH = 11


class Console:
    """What a command says. json: standard output carries one JSON document and nothing else."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        """quiet: only errors and the answer."""
        self.json = json
        self.quiet = quiet
        # emoji: a path such as "a:key:b" is printed as it is.
        self._error = RichConsole(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._out = RichConsole(highlight=False, soft_wrap=True, emoji=False)
        self._running: dict[str, tuple[str, float, str]] = {}
        self._lock = Lock()
        self._live: Live | None = None

    def answer(self, value: Any) -> None:
        """Print the answer as JSON on standard output."""
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
        sys.stdout.flush()

    def text(self, line: str = "") -> None:
        """Print one line of the answer, unless it is JSON. rich markup is not read."""
        if not self.json:
            self._out.print(escape(line))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table as part of the answer, unless it is JSON."""
        if self.json:
            return
        table = Table(
            title=title, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_verdict_style(cell) for cell in row))
        self._out.print(table)

    def say(self, line: str) -> None:
        """Tell something of the story on standard error."""
        if not self.quiet:
            self._error.print(escape(line))

    def warn(self, line: str) -> None:
        """Tell of something the user should know, on standard error."""
        self._error.print(f"[yellow]warning[/yellow] {escape(line)}")

    def stage(
        self, stage: str, label: str, seconds: float, size: int | None, *, cached: bool
    ) -> None:
        """Tell that a stage is done: what, seconds, size of what it made."""
        if self.quiet:
            return
        time = "cached" if cached else f"{seconds:.1f} s"
        made = "" if size is None else human_bytes(size)
        self._error.print(
            f"{stage:<{STAGE_WIDTH}} {escape(label):<24} {time:>9} {made:>9}".rstrip()
        )

    def start(self, label: str, what: str) -> None:
        """Show on a terminal that something runs."""
        with self._lock:
            self._running[label] = (what, monotonic(), "")
            self._show()

    def progress(self, label: str, message: str, done: int, total: int) -> None:
        """Show on a terminal how far something is."""
        with self._lock:
            if label in self._running:
                what, since, _ = self._running[label]
                count = f" {done}/{total}" if total else (f" {done}" if done else "")
                self._running[label] = (what, since, f"{message}{count}")
                self._show()

    def finish(self, label: str) -> None:
        """Stop showing it."""
        with self._lock:
            self._running.pop(label, None)
            self._show()

    def close(self) -> None:
        """Take the live display away."""
        with self._lock:
            self._running.clear()
            self._show()

    def error(self, error: EdgepackError) -> None:
        """Print an error: code, what happened, why, what to do; as JSON too when asked for."""
        self.close()
        self._error.print(
            f"[bold red]error[/bold red][bold]\\[{error.code}][/bold]: {escape(error.message)}"
        )
        for line in error.why.splitlines():
            self._error.print(f"  {escape(line)}", style="dim" if "-->" in line else None)
        if error.help:
            self._error.print(f"  [bold]= help:[/bold] {escape(error.help)}")
        if error.log:
            self._error.print(f"  [bold]= log:[/bold] {escape(error.log)}")
        if self.json:
            self.answer(
                {
                    "error": {
                        "code": error.code, "message": error.message, "why": error.why,
                        "help": error.help, "log": error.log,
                    }
                }
            )  # fmt: skip

    def _show(self) -> None:
        if not self._error.is_terminal or self.quiet:
            return
        if self._running and self._live is None:
            self._live = Live(
                get_renderable=self._lines,
                console=self._error,
                transient=True,
                refresh_per_second=8,
            )
            self._live.start()
        elif not self._running and self._live is not None:
            self._live.stop()
            self._live = None

    def _lines(self) -> Text:
        now = monotonic()
        lines = [
            f"{what:<{STAGE_WIDTH}} {label:<24} {now - since:>7.0f} s  {message}"
            for label, (what, since, message) in list(self._running.items())
        ]
        return Text("\n".join(lines), style="dim")


def _verdict_style(cell: str) -> Text:
    styles = {"pass": "green", "fail": "bold red", "not-run": "yellow"}
    return Text(cell, style=styles.get(cell, ""))


def human_bytes(size: int) -> str:
    """A size as people write it: 3.4 MB. Decimal units, as app stores count."""
    number = float(size)
    for unit in ("B", "kB", "MB"):
        if number < 1000:  # noqa: PLR2004 decimal units
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"
