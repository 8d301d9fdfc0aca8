"""What operators do that no formula of one result says: sums in half precision, random numbers, the extremes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from ops_a_formulas import FORMULAS

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator.kinds import HALF, SINGLE
from edgepack_targets.coreml.emulator.operators import registry
from edgepack_targets.coreml.emulator.operators.registry import Output, Site

OPERATORS = {
    "conv_quantized", "random_bernoulli", "random_categorical", "random_normal", "random_uniform",
}  # fmt: skip
BLOCK = 32
RANDOM = np.random.default_rng(21)
EXACT, HALVES = (
    Site(operator="any", name="any", ios=18, outputs=(Output("y", kind, None),))
    for kind in (SINGLE, HALF)
)
IN_HALF = dataclasses.replace(HALVES, in_half=True)


def differences() -> list[str]:
    """Sentences about what is wrong; none if nothing is."""
    checks = (_sums_in_half, _random, _extremes, _quantized, _refusals)
    return [f"{check.__name__}: {said}" for check in checks for said in check()]


def call(name: str, *arguments: Any, **named: Any) -> torch.Tensor:
    """An operator's function, on arrays or tensors."""
    given = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    also = {k: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for k, a in named.items()}
    return registry.find(name).function(*given, **also)


def half(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float16).astype(np.float32)


def _round(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float64)


def _blocked(products: np.ndarray) -> np.ndarray:
    """Sums along the last axis, in half precision between blocks."""
    total = np.zeros(products.shape[:-1])
    for first in range(0, products.shape[-1], BLOCK):
        total = _round(total + _round(products[..., first : first + BLOCK].sum(axis=-1)))
    return total


def _near(actual: torch.Tensor, wanted: np.ndarray, exact: np.ndarray) -> Iterator[str]:
    """Equal but where single precision in a block rounds otherwise; not what exact sums would be."""
    found = actual.numpy().astype(np.float64)
    equal = np.isclose(found, wanted, rtol=1e-6, atol=1e-6)
    if found.shape != wanted.shape or equal.mean() < 0.98:
        yield f"{found.shape}: {equal.mean():.3f} of sums are those of blocks"
    elif np.isclose(_round(found), _round(exact), rtol=1e-6).all():
        yield f"{found.shape}: sums do not differ from exact ones"


def _sums_in_half() -> Iterator[str]:
    x, weight = half(20, 200), half(10, 200)
    products = x[:, None].astype(np.float64) * weight[None]
    yield from _near(call("linear", IN_HALF, x, weight), _blocked(products), products.sum(-1))
    turned = np.ascontiguousarray(weight.T)
    yield from _near(call("matmul", IN_HALF, x, turned), _blocked(products), products.sum(-1))
    a, b = half(2, 3, 4, 100), half(2, 100, 4, 5)
    products = np.einsum("nchw,nwhu->nchuw", a.astype(np.float64), b.astype(np.float64))
    tensors = (torch.from_numpy(a), torch.from_numpy(b))
    found = call("einsum", IN_HALF, tensors, "nchw,nwhu->nchu")
    yield from _near(found, _blocked(products), products.sum(-1))

    x, weight = half(1, 24, 9, 8), half(6, 12, 3, 2)
    seen = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 2), axis=(2, 3))
    groups = []
    for group in range(2):
        part = np.moveaxis(seen[0, group * 12 : group * 12 + 12], 0, 2).reshape(7, 7, 1, -1)
        groups.append(part * weight[group * 3 : group * 3 + 3].reshape(3, -1))
    products = np.moveaxis(np.concatenate(groups, axis=2), 2, 0)[None]
    found = call("conv", IN_HALF, x, weight, groups=2)
    yield from _near(found, _blocked(products), products.sum(-1))

    x, weight = half(1, 24, 5, 4), half(24, 3, 3, 2)
    wide = {"x": x.astype(np.float64), "groups": 2, "strides": [2, 1]}
    total = np.zeros(FORMULAS["conv_transpose"](weight=weight, **wide).shape)
    order = np.arange(12 * 6).reshape(12, 1, 3, 2)
    for first in range(0, 12 * 6, BLOCK):
        chosen = np.tile((order >= first) & (order < first + BLOCK), (2, 1, 1, 1))
        part = FORMULAS["conv_transpose"](
            weight=np.where(chosen, weight, 0).astype(np.float64), **wide
        )
        total = _round(total + _round(part))
    found = call("conv_transpose", IN_HALF, x, weight, groups=2, strides=(2, 1))
    exact = FORMULAS["conv_transpose"](weight=weight.astype(np.float64), **wide)
    yield from _near(found, total, exact)


def _random() -> Iterator[str]:
    """Moments of 40,000 numbers, within five standard errors; the same with a seed, others without."""
    shape, count = (200, 200), 40_000
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32))
    tried: dict[str, tuple[Callable[[int], torch.Tensor], float, float]] = {
        "random_bernoulli": (lambda s: call("random_bernoulli", shape, 0.3, s), 0.3, math.sqrt(0.21)),
        "random_normal": (lambda s: call("random_normal", shape, -2.0, 3.0, s), -2.0, 3.0),
        "random_uniform": (lambda s: call("random_uniform", shape, 1.0, 4.0, s), 2.5, math.sqrt(0.75)),
        "random_categorical": (
            lambda s: call("random_categorical", logits[:1], "logits", count, s), 1.6, math.sqrt(0.44)
        ),
    }  # fmt: skip
    for name, (draw, mean, deviation) in tried.items():
        drawn = draw(7).double()
        if abs(drawn.mean().item() - mean) > 5 * deviation / math.sqrt(count):
            yield f"{name} has the mean {drawn.mean():.4f}"
        if abs(drawn.std().item() - deviation) > 0.02 * deviation + 0.01:
            yield f"{name} has the deviation {drawn.std():.4f}"
        if not torch.equal(draw(7), draw(7)) or torch.equal(draw(-1), draw(-1)):
            yield f"{name} repeats itself without a seed, or does not with one"
    odds = call("random_categorical", np.exp(logits), "probs", 4000, 3)
    if tuple(odds.shape) != (2, 4000) or abs((odds[1] == 0).double().mean().item() - 0.5) > 0.05:
        yield "random_categorical of probabilities"
    if registry.find("random_normal").fixed:
        yield "random numbers are computed ahead"


def _extremes() -> Iterator[str]:
    zero = torch.zeros(1)
    said = {
        "log(0)": (call("log", EXACT, zero), -103.2789),
        "log(0) in half": (call("log", HALVES, zero), -math.inf),
        "inverse(0)": (call("inverse", EXACT, zero), 1e4),
        "rsqrt(0)": (call("rsqrt", EXACT, zero), 1e6),
        "rsqrt(0) in half": (call("rsqrt", HALVES, zero), math.inf),
        "sum over no axes": (call("reduce_sum", torch.ones(3), ()), 1.0),
        "cast of what is no number": (call("cast", zero / 0, "int32"), 0.0),
        "cast beyond int32": (call("cast", torch.tensor([3e9]), "int32"), 2.0**31 - 1),
        "cast below int32": (call("cast", torch.tensor([-3e9]), "int32"), -(2.0**31)),
        "1 / 0": (call("real_div", torch.ones(1), zero), math.inf),
        "0-dimensional sum": (call("reduce_sum", torch.tensor(3.0)), 3.0),
    }
    for what, (found, wanted) in said.items():
        if not np.allclose(found.double().numpy(), wanted, rtol=1e-6):
            yield f"{what} is {found.tolist()}, not {wanted}"
    query, mask = torch.ones(1, 2, 4), torch.tensor([[True, False], [False, False]])
    for site in (EXACT, IN_HALF):
        bars = (mask, torch.where(mask, 0.0, -math.inf))
        for attended in (
            call("scaled_dot_product_attention", site, *[query] * 3, bar) for bar in bars
        ):
            if attended[0, 0].isnan().any() or not attended[0, 1].isnan().all():
                yield "attention to nothing is a number"


def _quantized() -> Iterator[str]:
    x, stored = half(1, 2, 5, 5), RANDOM.integers(0, 256, (3, 2, 3, 3)).astype(np.uint8)
    scale, offset = np.array([0.1, 0.2, 0.3], np.float32), np.array([-1, -2, -3], np.float32)
    found = call("conv_quantized", EXACT, x, stored, "linear", scale, offset, pad_type="same")
    along = (3, 1, 1, 1)
    weight = stored * scale.reshape(along).astype(np.float64) + offset.reshape(along)
    wanted = FORMULAS["conv"](x.astype(np.float64), weight, pad_type="same")
    if not np.allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-4):
        yield "conv_quantized"


def _refusals() -> Iterator[str]:
    ones = torch.ones(1, 1, 3, 3)
    refused: dict[str, Callable[[], Any]] = {
        "gelu": lambda: call("gelu", ones, "ROUGHLY"),
        "conv": lambda: call("conv", EXACT, ones, ones, pad_type="reflect"),
        "conv_transpose": lambda: call("conv_transpose", EXACT, ones, ones, pad_type="same_lower"),
        "conv_quantized": lambda: call("conv_quantized", EXACT, ones, ones, "lut", ones, ones),
        "cast": lambda: call("cast", ones, "complex64"),
        "random_categorical": lambda: call("random_categorical", ones, "odds"),
    }
    for name, refuse in refused.items():
        try:
            refuse()
        except EdgepackError as error:
            if error.code != "E511":
                yield f"{name} is refused with {error.code}"
        else:
            yield f"{name} takes what it does not know"
