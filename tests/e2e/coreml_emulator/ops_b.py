"""Every operator of the second half, in all opsets, against formulas and coremltools' own inference.

ops_b.py FOLDER [GROUP …]: prints a line per group with the number of cases, and fails on the first difference.
"""

from __future__ import annotations

import sys
import time

import torch
from ops_b_case import TARGETS, check, peers
from ops_b_failures import check_failures
from ops_b_images import IMAGE_RESIZING
from ops_b_indices import GATHER, QUANTIZATION, SCATTER
from ops_b_models import check_classifiers, check_states
from ops_b_sequences import CONTROL_FLOW, RECURRENT, SUPPRESSION
from ops_b_shapes import OPERATION, TRANSFORMATION
from ops_b_weights import check_layers, check_operators

GROUPS = {
    "tensor_transformation": TRANSFORMATION,
    "tensor_operation": OPERATION,
    "gather": GATHER,
    "scatter": SCATTER,
    "quantization": QUANTIZATION,
    "image_resizing": IMAGE_RESIZING,
    "recurrent": RECURRENT,
    "suppression": SUPPRESSION,
    "control_flow": CONTROL_FLOW,
}

OTHERS = {
    "failures": check_failures,
    "states": check_states,
    "classify": check_classifiers,
    "constexpr": check_operators,
    "compression": check_layers,
}


def main() -> None:
    torch.set_num_threads(1)
    for name, cases in GROUPS.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        begin = time.perf_counter()
        counts = [check(cases, ios) for ios in TARGETS]
        if name != "suppression":  # in half precision its scores come in another order
            counts.append(check(cases, 18, half=True))
        asked = peers(cases, 18)
        seconds = time.perf_counter() - begin
        sys.stdout.write(f"{name}: {counts} cases, {asked} peers, {seconds:.1f} s\n")
    for name, run in OTHERS.items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        begin = time.perf_counter()
        counts = run()
        sys.stdout.write(f"{name}: {counts} cases, {time.perf_counter() - begin:.1f} s\n")


if __name__ == "__main__":
    sys.exit(main())
