"""A graph run node by node over many cases side by side, and what can be learned from that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from edgepack_targets.executorch import folding

aten = torch.ops.aten

Case = tuple[Tensor, ...]
Visit = Callable[[fx.Node, list[Any]], list[Any]]

CONVOLUTIONS = folding.CONVOLUTIONS

PRODUCTS = CONVOLUTIONS | {aten.linear.default}
"""Operators that multiply by a weight (out, …) and add a bias, in that order of arguments."""

CLAMPS = frozenset({aten.hardtanh.default, aten.relu.default, aten.relu6.default})
"""Operators that XNNPACK runs as part of the product before them."""

_BUDGET_BYTES = 2**29


def walk(module: fx.GraphModule, cases: Sequence[Case], visit: Visit) -> None:
    """Run a graph on all cases at once; `visit` sees each call's results and returns those to go on with.

    Values are dropped after their last use, so that memory holds what one layer needs for all cases.
    """
    interpreters = [_at(fx.Interpreter(module), case) for case in cases]
    last_use = {arg: node for node in module.graph.nodes for arg in node.all_input_nodes}
    dying: dict[fx.Node, list[fx.Node]] = {}
    for value, user in last_use.items():
        dying.setdefault(user, []).append(value)
    with torch.no_grad():
        for node in module.graph.nodes:
            if node.op == "output":
                return
            values = [one.run_node(node) for one in interpreters]
            values = visit(node, values) if node.op == "call_function" else values
            for one, value in zip(interpreters, values, strict=True):
                one.env[node] = value
                for dead in dying.get(node, ()):
                    del one.env[dead]


def _at(interpreter: fx.Interpreter, case: Case) -> fx.Interpreter:
    interpreter.args_iter = iter(case)
    return interpreter


def affordable(module: fx.GraphModule, cases: Sequence[Case]) -> Sequence[Case]:
    """As many of the cases as can be walked side by side in half a gigabyte, spread over all of them."""
    values = [node.meta.get("val") for node in module.graph.nodes if node.op == "call_function"]
    sizes = [size_of(v) * v.element_size() for v in values if isinstance(v, Tensor)]
    # Three of the largest: what goes in, what comes out, and a shortcut beside them.
    count = max(1, _BUDGET_BYTES // (3 * max(sizes, default=1)))
    step = -(-len(cases) // count)
    return cases[::step]


def channel_means(module: fx.GraphModule, cases: Sequence[Case]) -> dict[str, Tensor]:
    """Mean of each convolution's output per channel over cases and positions, by node name."""
    means: dict[str, Tensor] = {}

    def visit(node: fx.Node, values: list[Any]) -> list[Any]:
        if node.target in CONVOLUTIONS:
            means[node.name] = mean_of(values)
        return values

    walk(module, cases, visit)
    return means


def mean_of(values: list[Tensor]) -> Tensor:
    """Mean per channel of a convolution's outputs (batch, channels, positions…), as float32."""
    each = [value.movedim(1, 0).flatten(1) for value in values]
    total = sum(one.sum(1, dtype=torch.float64) for one in each)
    return (total / sum(one.shape[1] for one in each)).float()


def positions(values: list[Tensor]) -> int:
    """How many values of each channel a convolution's outputs hold."""
    return sum(value.numel() // value.shape[1] for value in values)


def size_of(value: Tensor) -> int:
    """Number of values of a fake tensor; an axis that varies counts with its hint."""
    return math.prod(n if isinstance(n, int) else int(n.node.hint or 1) for n in value.shape)
