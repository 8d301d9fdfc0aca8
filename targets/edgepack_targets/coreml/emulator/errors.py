"""What the emulator says when it cannot go on."""

from __future__ import annotations

from edgepack.errors import EdgepackError


def unsupported(what: str, why: str = "", help: str = "") -> EdgepackError:  # noqa: A002
    """E511: the program is well formed, and needs something the emulator does not have."""
    return EdgepackError("E511", f"the Core ML emulator has no {what}", why=why, help=help)


def malformed(what: str, why: str = "") -> EdgepackError:
    """E202: the program breaks the rules of its own format."""
    return EdgepackError("E202", what, why=why, help="Make the package again.")


def failed(what: str, why: str = "") -> EdgepackError:
    """E509: an operation cannot compute what it is asked for."""
    return EdgepackError("E509", what, why=why)


def misfit(what: str, why: str = "") -> EdgepackError:
    """E507: what was fed is not what the model takes."""
    return EdgepackError("E507", what, why=why)


def no_function(name: str, known: list[str]) -> EdgepackError:
    """E508: the model has no function of that name."""
    why = f"It has {', '.join(known) or 'none'}."
    return EdgepackError("E508", f"the model has no function {name!r}", why=why)


def refused(what: str, why: str = "") -> EdgepackError:
    """E508: a phone would refuse to load the model too."""
    return EdgepackError("E508", what, why=why)
