"""What an operation cannot do fails with a code, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import convert, floats, load, whole

from edgepack.errors import EdgepackError

X = floats(3, 4)
Build = Callable[[Any, Any], Any]
CASES: dict[str, tuple[int, Build, np.ndarray, np.ndarray]] = {
    "gather": (17, lambda x, i: mb.gather(x=x, indices=i, validate_indices=True), whole(0, 2),
    whole(-1, 0)),
    "gather, old": (15, lambda x, i: mb.gather(x=x, indices=i), whole(-3, 2), whole(3, 0)),
    "gather_along_axis": (
        18, lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=1, validate_indices=True),
        whole([3], [0], [1]), whole([4], [0], [1]),
    ),
    "gather_nd": (
        17, lambda x, i: mb.gather_nd(x=x, indices=i, validate_indices=True), whole([2, 3]),
        whole([3, 2]),
    ),
    "scatter": (
        17, lambda x, i: mb.scatter(data=x, indices=i, updates=x, validate_indices=True),
        whole(0, 2, 1), whole(0, 3, 1),
    ),
    "scatter_along_axis": (
        17, lambda x, i: mb.scatter_along_axis(data=x, indices=i, updates=X[:, :1], axis=1,
        validate_indices=True),
        whole([0], [3], [2]), whole([0], [-1], [2]),
    ),
    "scatter_nd": (
        18, lambda x, i: mb.scatter_nd(data=x, indices=i, updates=X[:1, 0], validate_indices=True),
        whole([2, 3]), whole([2, 4]),
    ),
    "slice_by_index": (
        15, lambda x, i: mb.slice_by_index(x=x, begin=i, end=[0, 4], squeeze_mask=[True, False]),
        whole(2, 0), whole(3, 0),
    ),
    "slice_by_size": (15, lambda x, i: mb.slice_by_size(x=x, begin=i, size=[2, 4]), whole(1, 0),
    whole(2, 0)),
    "list_read": (
        15,
        lambda x, i: mb.list_read(ls=mb.list_write(ls=mb.make_list(elem_shape=(3, 4)), index=1,
        value=x), index=mb.squeeze(x=i)),
        whole(1), whole(2),
    ),
}  # fmt: skip


def check_failures() -> int:
    """Each with indices that are right, then with those that are not."""
    for name, (ios, build, right, wrong) in CASES.items():
        model = load(convert(lambda x, i, b=build: b(x, i), {"x": X, "i": right}, ios))
        model.predict({"x": X, "i": right})
        try:
            model.predict({"x": X, "i": wrong})
        except EdgepackError as error:
            assert error.code == "E509", error  # noqa: PT017
            assert name.partition(",")[0] in error.message, error  # noqa: PT017
        else:
            raise AssertionError(f"{name} accepts {wrong.tolist()}")
    return len(CASES)
