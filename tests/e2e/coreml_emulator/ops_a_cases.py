"""Uses of the operators that compute: each with inputs, parameters, and the opsets it is for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(20)
AXES = (None, [0], [-1], [0, 2], [2, -2], [0, 1, 2])


@dataclass(frozen=True)
class Case:
    """inputs: fed when the program runs; a list for an operator that takes several as one. given: constants.

    Floats, of arrays and parameters, get the dtype the case is tried in. mixed: from iOS 17 on, floats that
    are given may have another dtype than those that are fed. peer: whether coremltools' own evaluation of
    the operator can be relied on here. untold: defaults that the builder has to be told, and programs need not say.
    """

    op: str
    inputs: dict[str, Any]
    given: dict[str, Any] = field(default_factory=dict)
    since: int = 15
    mixed: bool = False
    peer: bool = True
    untold: dict[str, Any] = field(default_factory=dict)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape)


def positive(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.2, 3, shape)


def whole(*shape: int, low: int = -9, high: int = 9) -> np.ndarray:
    return RANDOM.integers(low, high, shape).astype(np.int32)


def maybe(*shape: int) -> np.ndarray:
    return RANDOM.random(shape) < 0.5


def cases() -> Iterator[Case]:
    """All of them, always the same."""
    yield from _activations()
    yield from _unary()
    yield from _binary()
    yield from _reductions()
    yield from _products()
    yield from _convolutions()
    yield from _transposed()
    yield from _pools()
    yield from _norms()


def _activations() -> Iterator[Case]:
    x = {"x": normal(2, 3, 4) * 3}
    for op in ("relu", "relu6", "sigmoid", "silu", "softplus", "softsign"):
        yield Case(op, x)
        yield Case(op, {"x": np.float64(-0.7).reshape(())})
    yield Case("softplus", {"x": np.array([-40.0, -15, 0, 15, 19.9, 20.1, 40])})
    for op in ("elu", "leaky_relu", "thresholded_relu"):
        for alpha in (0.3, 1.5):
            yield Case(op, x, {"alpha": alpha}, mixed=True)
    for op in ("clamped_relu", "linear_activation", "scaled_tanh", "sigmoid_hard"):
        yield Case(op, x, {"alpha": 0.4, "beta": 1.2}, mixed=True)
    for rank in (3, 4, 5):
        alpha = np.full(3, 0.2) if rank != 4 else normal(3)
        yield Case(
            "prelu", {"x": normal(2, 3, *(2, 3, 2)[: rank - 2])}, {"alpha": alpha}, mixed=True
        )
    yield Case(
        "softplus_parametric",
        {"x": normal(2, 3, 2, 2)},
        {"alpha": normal(3), "beta": normal(3)},
        mixed=True,
    )
    for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
        yield Case("gelu", x, {"mode": mode})
    yield Case("gelu", x)
    yield Case("softmax", x)
    for axis in (0, 1, -1, -2):
        yield Case("softmax", x, {"axis": axis})


def _unary() -> Iterator[Case]:
    x = {"x": normal(2, 3, 4) * 2}
    for op in (
        "abs",
        "atan",
        "ceil",
        "cos",
        "cosh",
        "erf",
        "exp",
        "exp2",
        "floor",
        "round",
        "sign",
        "sin",
        "sinh",
    ):
        yield Case(op, x)
        yield Case(op, {"x": np.float64(0.6).reshape(())})
    for op in ("square", "tanh", "tan"):
        yield Case(op, x)
    for op in ("acos", "asin", "atanh"):
        yield Case(op, {"x": RANDOM.uniform(-0.9, 0.9, (3, 4))})
    for op in ("abs", "sign", "square"):
        yield Case(op, {"x": whole(3, 4)})
    yield Case("exp2", {"x": whole(3, 4, low=-3)})
    yield Case("round", {"x": np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])})
    yield Case("sqrt", {"x": positive(3, 4)})
    for op in ("inverse", "log", "rsqrt"):
        yield Case(op, {"x": positive(3, 4)})
        yield Case(op, {"x": positive(3, 4)}, {"epsilon": 0.25}, mixed=True)
    yield Case("clip", x, {"alpha": -0.5, "beta": 1.25})
    yield Case("threshold", x, {"alpha": 0.5})
    yield Case("logical_not", {"x": maybe(3, 4)})
    for dtype in ("int32", "fp32", "bool"):
        yield Case("cast", {"x": np.array([-2.7, -0.5, 0.0, 0.5, 2.7, 40.0])}, {"dtype": dtype})
        yield Case("cast", {"x": whole(6)}, {"dtype": dtype})
        yield Case("cast", {"x": maybe(6)}, {"dtype": dtype})
    yield Case("cast", {"x": normal(6)}, {"dtype": "fp16"}, since=16)
    beyond = (
        np.array([-300.5, -2.7, 0.5, 2.7, 127.5, 300.0]),
        np.array([-70000, -300, -1, 0, 7, 300, 70000], np.int32),
    )
    for dtype in ("int8", "uint8", "int16", "uint16"):
        for x in beyond:
            # numpy wraps, which no hardware of Apple's does with floats.
            yield Case("cast", {"x": x}, {"dtype": dtype}, since=17, peer=False)


def _binary() -> Iterator[Case]:
    shapes = (((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((4,), (2, 3, 1)), ((2, 3), ()))
    compared = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
    for a, b in shapes:
        for op in ("add", "sub", "mul", "maximum", "minimum", *compared):
            yield Case(op, {"x": normal(*a), "y": normal(*b)})
        for op in ("add", "sub", "mul", "maximum", "minimum", *compared):
            yield Case(op, {"x": whole(*a, high=3), "y": whole(*b, high=3)})
        for op in ("real_div", "floor_div", "mod"):
            yield Case(op, {"x": normal(*a) * 5, "y": np.where(maybe(*b), 1, -1) * positive(*b)})
            yield Case(op, {"x": whole(*a), "y": np.array(np.where(maybe(*b), 3, -4), np.int32)})
        yield Case("pow", {"x": positive(*a), "y": normal(*b)})
        yield Case("pow", {"x": whole(*a), "y": whole(*b, low=0, high=4)})
        for op in ("logical_and", "logical_or", "logical_xor"):
            yield Case(op, {"x": maybe(*a), "y": maybe(*b)})
    for exponent in (2.0, 0.5, -1.0, 3.0):
        yield Case("pow", {"x": positive(3, 4)}, {"y": exponent})
    yield Case("pow", {"x": np.array([1, 2, -2], np.int32)}, {"y": np.int32(-1)}, peer=False)


def _reductions() -> Iterator[Case]:
    x = {"x": normal(2, 3, 4)}
    for axes, keep in itertools.product(AXES, (False, True)):
        given = {"keep_dims": keep} if axes is None else {"keep_dims": keep, "axes": axes}
        for op in (
            "reduce_l1_norm",
            "reduce_l2_norm",
            "reduce_log_sum_exp",
            "reduce_max",
            "reduce_mean",
            "reduce_min",
            "reduce_prod",
            "reduce_sum",
            "reduce_sum_square",
        ):
            yield Case(op, x, given)
        for op in (
            "reduce_l1_norm",
            "reduce_l2_norm",
            "reduce_max",
            "reduce_mean",
            "reduce_min",
            "reduce_sum",
            "reduce_sum_square",
        ):
            yield Case(op, {"x": whole(2, 3, 4)}, given)
        yield Case("reduce_prod", {"x": whole(2, 3, 4, low=-1, high=3)}, given)
        yield Case("reduce_log_sum", {"x": positive(2, 3, 4)}, given)
    yield Case("reduce_log_sum_exp", {"x": np.array([100.0, 101.0, 99.0])})
    yield Case("reduce_sum", x)
    for op, axis, keep in itertools.product(
        ("reduce_argmax", "reduce_argmin"), (0, 1, -1), (False, True)
    ):
        yield Case(op, x, {"axis": axis, "keep_dims": keep})
        yield Case(op, {"x": whole(3, 4, 5, high=-5)}, {"axis": axis, "keep_dims": keep})
        yield Case(op, x, {"axis": axis, "output_dtype": "uint16"}, since=17)
    yield Case("reduce_argmax", x)


def _products() -> Iterator[Case]:
    for shape in ((5,), (3, 5), (2, 3, 5)):
        for bias in ({}, {"bias": normal(4)}):
            yield Case(
                "linear", {"x": normal(*shape)}, {"weight": normal(4, 5), **bias}, mixed=True
            )
    yield Case("linear", {"x": whole(3, 5)}, {"weight": whole(4, 5), "bias": whole(4)})
    yield Case("linear", {"x": normal(3, 40)}, {"weight": whole(4, 40)}, since=17)
    for a, b in (
        ((3, 5), (5, 2)),
        ((4, 3, 5), (5, 2)),
        ((2, 1, 3, 5), (4, 5, 2)),
        ((5,), (5, 2)),
        ((3, 70), (70, 6)),
    ):
        yield Case("matmul", {"x": normal(*a), "y": normal(*b)})
        yield Case("matmul", {"x": whole(*a), "y": whole(*b)})
        turned = normal(*b).swapaxes(-1, -2).copy()
        yield Case("matmul", {"x": normal(*a), "y": turned}, {"transpose_y": True})
        yield Case("matmul", {"x": normal(*a)}, {"y": normal(*b)}, mixed=True)
        if len(a) > 1:
            turned = normal(*a).swapaxes(-1, -2).copy()
            yield Case(
                "matmul",
                {"x": turned, "y": normal(*b)},
                {"transpose_x": True, "transpose_y": False},
            )
    yield Case(
        "einsum",
        {"values": [normal(2, 3, 4, 40), normal(2, 40, 4, 3)]},
        {"equation": "nchw,nwhu->nchu"},
    )
    yield Case(
        "einsum",
        {"values": [normal(1, 3, 4, 5), normal(2, 5, 1, 3)]},
        {"equation": "abcd,adce->abce"},
    )
    yield Case(
        "einsum", {"values": [normal(3, 4, 5), normal(5, 1, 6)]}, {"equation": "chw,whr->chr"}
    )
    for batch in ((2,), (2, 3), (2, 3, 2)):
        of = {
            "query": normal(*batch, 7, 16),
            "key": normal(*batch, 5, 16),
            "value": normal(*batch, 5, 8),
        }
        yield Case("scaled_dot_product_attention", of, since=18)
        seen = maybe(7, 5)
        seen[:, 0] = True
        yield Case("scaled_dot_product_attention", {**of, "attn_mask": seen}, since=18)
        yield Case("scaled_dot_product_attention", {**of, "attn_mask": normal(1, 5)}, since=18)
        barred = np.where(seen, 0.0, -np.inf).reshape((1,) * (len(batch) - 1) + (1, 7, 5))
        yield Case("scaled_dot_product_attention", {**of, "attn_mask": barred}, since=18)
    yield Case("scaled_dot_product_attention", {**of, "attn_mask": normal(5)}, since=18)


def _convolutions() -> Iterator[Case]:
    sizes = {1: (9,), 2: (8, 7), 3: (5, 6, 5)}
    kernel = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
    for rank, groups in itertools.product((1, 2, 3), (1, 2)):
        x, weight = normal(2, 4, *sizes[rank]), normal(6, 4 // groups, *kernel[rank])
        given = {"weight": weight, "groups": groups}
        yield Case("conv", {"x": x}, given, mixed=True)
        yield Case(
            "conv",
            {"x": x},
            {**given, "bias": normal(6), "pad_type": "custom", "pad": [1, 2] * rank},
            mixed=True,
        )
        yield Case(
            "conv",
            {"x": x},
            {**given, "pad_type": "custom", "pad": [1, 1] * rank, "strides": [2] * rank},
        )
        yield Case(
            "conv",
            {"x": x},
            {**given, "bias": normal(6), "pad_type": "same", "strides": [2] * rank},
        )
        yield Case("conv", {"x": x}, {**given, "pad_type": "same", "dilations": [2] * rank})
        yield Case(
            "conv", {"x": x}, {**given, "pad_type": "same_lower", "strides": [2] * rank}, since=16
        )
        yield Case("conv", {"x": x, "weight": weight}, {"groups": groups})
    yield Case(
        "conv",
        {"x": normal(1, 4, 6, 6)},
        {"weight": normal(8, 1, 3, 3), "groups": 4, "pad_type": "same"},
    )


def _transposed() -> Iterator[Case]:
    sizes = {1: (5,), 2: (4, 3), 3: (3, 2, 3)}
    kernel = {1: (3,), 2: (3, 4), 3: (2, 3, 2)}
    for rank, groups in itertools.product((1, 2, 3), (1, 2)):
        x, weight = {"x": normal(2, 4, *sizes[rank])}, normal(4, 6 // groups, *kernel[rank])
        given = {"weight": weight, "groups": groups}
        yield Case("conv_transpose", x, given, mixed=True)
        yield Case(
            "conv_transpose", x, {**given, "bias": normal(6), "strides": [2] * rank}, mixed=True
        )
        yield Case(
            "conv_transpose",
            x,
            {**given, "pad_type": "same", "strides": [3] * rank, "bias": normal(6)},
        )
        yield Case("conv_transpose", x, {**given, "pad_type": "same", "strides": [2] * rank})
        yield Case(
            "conv_transpose",
            x,
            {**given, "pad_type": "custom", "pad": [1, 0] * rank, "dilations": [2] * rank},
        )
        yield Case(
            "conv_transpose",
            x,
            {**given, "pad_type": "custom", "pad": [0, 1] * rank, "bias": normal(6)},
        )
        for extra in (-1, 1, 2, 4):
            # One step of 2 makes whole results of these sizes; what is asked for is less, or more.
            full = [(n - 1) * 2 + k + extra for n, k in zip(sizes[rank], kernel[rank], strict=True)]
            asked = {
                **given,
                "strides": [2] * rank,
                "output_shape": [2, 6, *full],
                "bias": normal(6),
            }
            yield Case("conv_transpose", x, asked)
        narrow = {
            "weight": normal(4, 6 // groups, *(1,) * rank),
            "groups": groups,
            "strides": [2] * rank,
        }
        yield Case("conv_transpose", x, {**narrow, "pad_type": "same", "bias": normal(6)})


def _pools() -> Iterator[Case]:
    sizes = {1: (11,), 2: (8, 7), 3: (5, 6, 4)}
    kernel = {1: [3], 2: [3, 2], 3: [2, 3, 2]}
    options: dict[str, list[dict[str, Any]]] = {
        "max_pool": [{}], "l2_pool": [{}],
        "avg_pool": [{}, {"exclude_padding_from_average": True}],
    }  # fmt: skip
    for rank, op in itertools.product((1, 2, 3), options):
        if op == "l2_pool" and rank == 3:
            continue
        x = {"x": normal(2, 3, *sizes[rank])}
        for option, stride in itertools.product(options[op], (1, 2, 3)):
            given = {"kernel_sizes": kernel[rank], **option}
            if stride > 1:
                given["strides"] = [stride] * rank
            yield Case(op, x, {**given, "pad_type": "valid"})
            yield Case(op, x, {**given, "pad_type": "same"})
            yield Case(op, x, {**given, "pad_type": "same_lower"}, since=16)
            yield Case(op, x, {**given, "pad_type": "custom", "pad": [1, 1] * rank})
            yield Case(op, x, {**given, "pad_type": "custom", "pad": [1, 0] * rank})
            if rank < 3:
                yield Case(op, x, {**given, "pad_type": "valid", "ceil_mode": True})
                yield Case(
                    op, x, {**given, "pad_type": "custom", "pad": [1, 1] * rank, "ceil_mode": True}
                )


def _norms() -> Iterator[Case]:
    sizes = (4, 3, 2)
    for rank, (scaled, moved) in itertools.product(
        (3, 4, 5), itertools.product((False, True), repeat=2)
    ):
        x = {"x": normal(2, 3, *sizes[: rank - 2])}
        given = {"mean": normal(3), "variance": positive(3)}
        free = {"gamma": normal(3)} if scaled else {}
        free |= {"beta": normal(3)} if moved else {}
        yield Case("batch_norm", x, {**given, **free}, mixed=True)
        yield Case("batch_norm", x, {**given, **free, "epsilon": 0.1}, mixed=True)
        if rank < 5:
            yield Case("instance_norm", x, free, mixed=True)
            yield Case("instance_norm", x, {**free, "epsilon": 0.1}, mixed=True)
    yield Case("instance_norm", {"x": normal(2, 3, 1)})
    for axes in (None, [-1], [2], [1, 2], [2, 1], [1], [0], [0, 2], [-2]):
        x = {"x": normal(2, 3, 4)}
        shape = [n for i, n in enumerate((2, 3, 4)) if axes is None or i in [a % 3 for a in axes]]
        over = {} if axes is None else {"axes": axes}
        untold = {"axes": [0, 1, 2]} if axes is None else {}
        free = {"gamma": normal(*shape), "beta": normal(*shape), "epsilon": 0.01}
        yield Case("layer_norm", x, over, untold=untold)
        yield Case("layer_norm", x, {**over, **free}, mixed=True, untold=untold)
        yield Case("layer_norm", x, {**over, "gamma": normal(*shape)}, mixed=True, untold=untold)
    for shape in ((3, 2, 4), (2, 3, 2, 4), (2, 2, 3, 2, 4)):
        yield Case("l2_norm", {"x": normal(*shape)})
        yield Case("l2_norm", {"x": normal(*shape)}, {"epsilon": 0.1}, mixed=True)
    for shape, size in itertools.product(((4, 2, 4), (2, 6, 4, 3)), (1, 2, 3, 5)):
        yield Case("local_response_norm", {"x": normal(*shape) * 3}, {"size": size})
        yield Case(
            "local_response_norm",
            {"x": normal(*shape)},
            {"size": size, "alpha": 0.5, "beta": 0.6, "k": 2.0},
            mixed=True,
        )
