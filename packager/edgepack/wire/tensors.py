"""Cases of named tensors in one .npz file, without pickles.

A case is one call of the model. Array `c00012_i1` is input (or output) 1 of case 12; names and order
live in the signature beside the file, so that no tensor name ever becomes a file name. numpy is
imported inside: this module is read by processes that may lack it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def key(case: int, index: int) -> str:
    """Name of one array in the file."""
    return f"c{case:05d}_i{index}"


def save(path: Path, cases: Sequence[Sequence[Array]]) -> None:
    """Write cases; each is a sequence of arrays in signature order. Raises OSError, ValueError for object arrays."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for case, tensors in enumerate(cases):
        for index, tensor in enumerate(tensors):
            value = np.asarray(tensor)
            if value.dtype == object:
                raise ValueError(f"case {case}, tensor {index} is not an array of numbers")
            arrays[key(case, index)] = value
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load(path: Path) -> Iterator[tuple[Array, ...]]:
    """Yield the cases in order, each a tuple of arrays. Raises OSError, ValueError for a damaged file."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        widths: dict[int, int] = {}
        for name in archive.files:
            case, _, index = name.partition("_i")
            widths[int(case[1:])] = max(widths.get(int(case[1:]), 0), int(index) + 1)
        for case in sorted(widths):
            yield tuple(archive[key(case, index)] for index in range(widths[case]))


def count(path: Path) -> int:
    """Number of cases in the file."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        return len({name.partition("_i")[0] for name in archive.files})
