"""Rounding weights so that each filter keeps its sum.

A spatial filter that takes differences of large neighbours, as depthwise filters in the first layers of
image models do, answers to flat areas as soon as its weights are rounded one by one. Turning single
roundings the other way until the sum is right again costs nothing at run time. EfficientNet-Lite0, worst
of 64 photos: 4 dB in half, 6 dB in int8 weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

INT8_LARGEST = 127


def to_half(weight: Tensor) -> Tensor:
    """A float32 weight (out, in, …) in half."""
    nearest = weight.half()
    if not _is_spatial(weight):
        return nearest

    def neighbour(taken: Tensor, direction: Tensor) -> Tensor:
        return torch.nextafter(taken.half(), (direction * float("inf")).half()).double()

    kept = _keep_sums(weight.double().flatten(2), nearest.double().flatten(2), neighbour)
    return kept.view(weight.shape).half()


def to_int8_grid(weight: Tensor, least_scale: float) -> Tensor:
    """A float32 weight (out, in, …), rounded to symmetric int8 steps of each output channel.

    least_scale: lowest step that the quantizer allows. The largest weight of a channel stays where it
    is, so that a quantizer which looks at the result finds the same steps.
    """
    peaks = weight.double().flatten(1).abs().amax(1)
    steps = (peaks / INT8_LARGEST).clamp(min=least_scale).view(-1, *[1] * (weight.dim() - 1))
    exact = weight.double() / steps
    taken = exact.round().clamp(-INT8_LARGEST, INT8_LARGEST)
    if _is_spatial(weight):
        shape = taken.shape

        def neighbour(now: Tensor, direction: Tensor) -> Tensor:
            return torch.where(now.abs() < INT8_LARGEST - 1, now + direction, now)

        taken = _keep_sums(exact.flatten(2), taken.flatten(2), neighbour).view(shape)
    return (taken * steps).float()


def _is_spatial(weight: Tensor) -> bool:
    """Whether a weight has filters of more than one tap: (out, in, taps…)."""
    return weight.dim() > 2 and weight.shape[2:].numel() > 1  # noqa: PLR2004


def _keep_sums(
    exact: Tensor, taken: Tensor, neighbour: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """`taken` with as few values as possible moved to their `neighbour`, sums as close as can be.

    exact, taken: float64 (out, in, taps). neighbour: values and a direction of ±1 to next values.
    Each round makes the move after which the sum is nearest; where moves are equal in that, as they are
    on a grid, the one with the least error of its own.
    """
    for _ in range(exact.shape[2]):
        total = (taken - exact).sum(2, keepdim=True)
        moved = neighbour(taken, -total.sign().expand_as(taken))
        left = (total + moved - taken).abs()
        closer = left < total.abs()
        cost = torch.where(closer, left + 1e-3 * (moved - exact).abs(), torch.inf)
        least = cost.min(2, keepdim=True)
        turn = torch.zeros_like(closer).scatter_(2, least.indices, least.values < torch.inf)
        if not turn.any():
            break
        taken = torch.where(turn, moved, taken)
    return taken
