"""The operators that are said in others before coremltools sees them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from edgepack_targets.coreml import arithmetic, layout


def table() -> dict[Any, Callable[..., Any]]:
    """Our functions by torch operator, as torch's run_decompositions takes them."""
    import torch

    aten = torch.ops.aten
    return {
        functools.reduce(getattr, name.split("."), aten): functools.partial(function, aten)
        for names, function in (*arithmetic.TABLE, *layout.TABLE)
        for name in names.split()
    }
