"""Which products to leave in float because quantizing their inputs or outputs costs most of the quality.

Rounding a tensor to steps of size d adds noise of d²/12 to each value that lies between the ends of its
range. What that comes to at the model's outputs is, to first order, d²/12 times the summed squares of the
outputs' derivatives by these values, which one backward pass per case estimates for all tensors at once
(random signs in front of the outputs, after Hutchinson 1989). In EfficientNet-Lite0 one tensor of 61, in
front of the first depthwise convolution, makes a third of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgepack_targets.executorch import walking

aten = torch.ops.aten

ENOUGH = 1e-3
"""Noise to signal (30 dB) below which nothing is left in float."""

LEAST_SHARE = 0.1
"""Share of all noise that a tensor must make to be left alone."""

BUDGET = 0.05
"""Share of all weights, and of all multiplications, that may stay in float."""

TOO_MUCH = 1e-2
"""Noise to signal (20 dB) above which more may stay in float: the artifact would be of no use."""

LAST_BUDGET = 0.5

_CASES = 8
_STEPS = 255
# Operators that the quantizer quantizes besides products: they would round a tensor all the same.
_ALSO_QUANTIZED = frozenset(
    {aten.adaptive_avg_pool2d.default, aten.add.Tensor, aten.cat.default, aten.mul.Tensor}
)


@dataclass(slots=True)
class _Seen:
    """What passed through one tensor: its extremes, and the squared derivatives of values between them."""

    low: float = 0.0
    high: float = 0.0
    squares: float = 0.0

    def noise(self, signal: float) -> float:
        """Noise to signal at the outputs if this tensor alone is quantized."""
        step = (self.high - self.low) / _STEPS
        return step * step / 12 * self.squares / max(signal, 1e-30)


def products_in_float(module: fx.GraphModule, cases: Sequence[walking.Case]) -> frozenset[str]:
    """Names of the convolutions that are better left in float, found on a few of the cases.

    Linear layers take the range of each row as it comes and need no such care.
    """
    products = [node for node in module.graph.nodes if node.target in walking.PRODUCTS]
    if not products or any(isinstance(m, fx.GraphModule) for m in module.children()):
        return frozenset()  # A loop inside the graph has no derivative here.
    around = _products_around([n for n in products if n.target in walking.CONVOLUTIONS])
    seen = {tensor: _Seen() for tensor in around}
    signal = sum(_measure(module, case, seen) for case in cases[:: -(-len(cases) // _CASES)])
    noises = {tensor: one.noise(signal) for tensor, one in seen.items()}
    total = sum(noises.values())
    weights = {node.name: node.args[1].meta["val"].numel() for node in products}
    work = {node.name: _multiplications(node) for node in products}
    chosen: set[str] = set()
    left = total
    for limit, share in ((ENOUGH, BUDGET), (TOO_MUCH, LAST_BUDGET)):
        for tensor, noise in sorted(noises.items(), key=lambda item: -item[1]):
            names = chosen | {node.name for node in around[tensor]}
            affordable = all(
                sum(cost[name] for name in names) <= share * sum(cost.values())
                for cost in (weights, work)
            )
            if left > limit and noise >= LEAST_SHARE * total and names != chosen and affordable:
                chosen, left = names, left - noise
    return frozenset(chosen)


def _products_around(products: list[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """Tensors that nothing but products rounds, each with the products that make or take it."""
    around: dict[fx.Node, list[fx.Node]] = {}
    for node in products:
        made = next(iter(node.users)) if len(node.users) == 1 else node
        made = made if made.target in walking.CLAMPS else node
        for tensor in (node.args[0], made):
            around.setdefault(tensor, []).append(node)
    return {
        tensor: makers
        for tensor, makers in around.items()
        if not any(user.target in _ALSO_QUANTIZED for user in tensor.users)
    }


def _multiplications(node: fx.Node) -> int:
    """Multiplications of a product: values of its output times weights each takes."""
    weight, out = node.args[1].meta["val"], node.meta["val"]
    return int(weight[0].numel()) * walking.size_of(out)


def _measure(module: fx.GraphModule, case: walking.Case, seen: dict[fx.Node, _Seen]) -> float:
    """Add one case to `seen`; the summed squares of the outputs."""
    values: dict[fx.Node, Tensor] = {}
    results: list[Tensor] = []

    class Tracked(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Any:
            value = super().run_node(node)
            if isinstance(value, Tensor) and value.is_floating_point() and node.op != "get_attr":
                value = value if value.requires_grad else value.detach().requires_grad_()
                if node in seen:
                    value.retain_grad()
                    values[node] = value
            if node.op == "output":
                results.extend(v for v in value if v.requires_grad)
            return value

    signs = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        Tracked(module).run(*case)
        random = [torch.randint(0, 2, r.shape, generator=signs) * 2.0 - 1.0 for r in results]
        torch.autograd.backward(results, random)
    for node, value in values.items():
        low, high = float(value.min()), float(value.max())
        inside = (value != low) & (value != high)
        if value.grad is not None:
            seen[node].squares += float((value.grad.double().square() * inside).sum())
        seen[node].low = min(seen[node].low, low)
        seen[node].high = max(seen[node].high, high)
    return sum(float(result.detach().double().square().sum()) for result in results)
