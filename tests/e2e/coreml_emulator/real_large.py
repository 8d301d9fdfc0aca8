"""Results of real size in half precision, which are rounded where they lie, leave alone what they share.

Raises AssertionError where a value is not what numpy's own rounding makes of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import convert, floats, predicted

SHAPE = (600, 700)


def build(x: Any) -> tuple[Any, ...]:
    """x once rounded and as it was, added to itself across, and what a view of it is rounded to."""
    half = mb.cast(x=x, dtype="fp16")
    twice = mb.add(x=half, y=half)
    across = mb.transpose(x=x, perm=[1, 0])
    turned = mb.cast(x=across, dtype="fp16")
    return (
        mb.cast(x=half, dtype="fp32", name="once"),
        mb.cast(x=twice, dtype="fp32", name="twice"),
        mb.cast(x=turned, dtype="fp32", name="turned"),
        mb.identity(x=x, name="same"),
    )


def main() -> None:
    given = floats(*SHAPE)
    kept = given.copy()
    found = predicted(convert(build, {"x": given}, 17), {"x": given})
    rounded = given.astype(np.float16)
    wanted = {"once": rounded, "twice": rounded + rounded, "turned": rounded.T, "same": kept}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert np.array_equal(found[name], value.astype(np.float32)), name
    assert np.array_equal(given, kept), "what the app fed has changed"


if __name__ == "__main__":
    main()
