"""Random numbers (coremltools, mil/ops/defs/iOS15/random.py).

Core ML's generators are not public: what agrees is the distribution. With a seed every run draws the same;
without one (−1) torch's own generator goes on, so that the caller decides what is repeated.
"""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator


@operator("random_bernoulli", fixed=False)
def random_bernoulli(shape: Ints, prob: float = 0.5, seed: int = -1) -> Tensor:
    """1 with a probability, 0 otherwise."""
    return (torch.rand(shape, generator=_generator(seed)) < prob).float()


@operator("random_categorical", fixed=False)
def random_categorical(x: Tensor, mode: str = "logits", size: int = 1, seed: int = -1) -> Tensor:
    """`size` numbers of classes for each distribution along the last axis of x, as floats.

    mode: whether x holds logarithms of probabilities ("logits") or probabilities ("probs").
    """
    if mode not in ("logits", "probs"):
        raise errors.unsupported(f"random_categorical mode {mode!r}")
    weights = torch.softmax(x, -1) if mode == "logits" else x
    drawn = torch.multinomial(
        weights.reshape(-1, x.shape[-1]), size, replacement=True, generator=_generator(seed)
    )
    return drawn.reshape((*x.shape[:-1], size)).float()


@operator("random_normal", fixed=False)
def random_normal(shape: Ints, mean: float = 0.0, stddev: float = 1.0, seed: int = -1) -> Tensor:
    """Normally distributed numbers."""
    return torch.randn(shape, generator=_generator(seed)).mul_(stddev).add_(mean)


@operator("random_uniform", fixed=False)
def random_uniform(shape: Ints, low: float = 0.0, high: float = 1.0, seed: int = -1) -> Tensor:
    """Numbers from low up to high, all equally likely."""
    return torch.rand(shape, generator=_generator(seed)).mul_(high - low).add_(low)


def _generator(seed: int) -> torch.Generator | None:
    return None if seed < 0 else torch.Generator().manual_seed(seed)
