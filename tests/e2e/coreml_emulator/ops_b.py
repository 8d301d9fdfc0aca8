"""Every operator of the second half, in all opsets, against formulas and coremltools' own inference.

ops_b.py FOLDER: prints a line per group with the number of cases, and fails on the first difference.
"""

from __future__ import annotations

import sys
import time

import torch
from ops_b_case import check, peers
from ops_b_shapes import OPERATION, TRANSFORMATION

GROUPS = {"tensor_transformation": TRANSFORMATION, "tensor_operation": OPERATION}


def main() -> None:
    torch.set_num_threads(1)
    for name, cases in GROUPS.items():
        begin = time.perf_counter()
        counts = [check(cases, ios) for ios in (15, 16, 17, 18)]
        asked = peers(cases, 18)
        print(f"{name}: {counts} cases, {asked} peers, {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
