"""Every operator that is said in others, computed by torch both ways. Prints JSON.

{"wrong": {case: reason}, "never_applied": [operators of the table that no case needed]}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from edgepack_targets.coreml import decompositions

INF = float("inf")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(low: int, high: int, *shape: int) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(1))


X, Y = random(2, 3, 5), random(2, 3, 5, seed=1)
POSITIVE = X.abs() + 0.1
SMALL = torch.tensor([1e-9, 1e-6, 1e-3, 1.0])
WHOLE = integers(-5, 6, 2, 3, 5)
MASK = X > 0
IMAGE = random(1, 4, 6, 9)
aten = torch.ops.aten

CASES: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    "add alpha": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y)),
    "add alpha to a number": (lambda x: aten.add.Scalar(x, 2.0, 0.5), (X,)),
    "sub alpha of a number": (lambda x: aten.sub.Scalar(x, 2.0, 0.5), (X,)),
    "rsub alpha of a number": (lambda x: aten.rsub.Scalar(x, 2.0, 0.5), (X,)),
    "sub alpha": (lambda x, y: torch.sub(x, y, alpha=2.5), (X, Y)),
    "rsub alpha": (lambda x, y: torch.rsub(x, y, alpha=3.0), (X, Y)),
    "reciprocal of small": (torch.reciprocal, (SMALL,)),
    "rsqrt of small": (torch.rsqrt, (SMALL,)),
    "atan2 on the axes": (
        torch.atan2,
        (torch.tensor([0.0, 0, 1, -1, 0, 2]), torch.tensor([-1.0, 1, 0, 0, 0, -3])),
    ),
    "asinh": (torch.asinh, (X * 3,)),
    "acosh": (torch.acosh, (POSITIVE + 1,)),
    "erfc": (torch.erfc, (X,)),
    "special erfc": (torch.special.erfc, (X,)),
    "trunc": (torch.trunc, (X * 3,)),
    "fmod": (torch.fmod, (X * 3, Y)),
    "fmod of integers": (lambda x: torch.fmod(x, 3), (WHOLE,)),
    "isinf": (torch.isinf, (torch.tensor([1.0, INF, -INF, float("nan")]),)),
    "nan_to_num": (torch.nan_to_num, (torch.tensor([1.0, INF, -INF, float("nan")]),)),
    "nan_to_num with values": (
        lambda x: torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-2.0),
        (torch.tensor([1.0, INF, -INF, float("nan")]),),
    ),
    "left shift": (lambda x: x << 2, (WHOLE,)),
    "right shift": (lambda x: x >> 1, (WHOLE,)),
    "left shift function": (lambda x: torch.bitwise_left_shift(x, 2), (WHOLE,)),
    "right shift function": (lambda x: torch.bitwise_right_shift(x, 1), (WHOLE,)),
    "softplus": (lambda x: functional.softplus(x, beta=2.0, threshold=3.0), (X * 3,)),
    "log_softmax of large": (lambda x: x.log_softmax(-1), (X * 40,)),
    "log_softmax with a dtype": (lambda x: functional.log_softmax(x, 1, dtype=torch.float32), (X,)),
    "log_softmax inside": (lambda x: aten._log_softmax(x, 1, False), (X,)),
    "any of fractions": (torch.any, (X * 0.1,)),
    "any along an axis": (lambda x: torch.any(x, 1, keepdim=True), (X.round(),)),
    "any along axes": (lambda x: torch.any(x, (0, 2)), (X.round(),)),
    "all of fractions": (torch.all, (X * 0.1,)),
    "all along an axis": (lambda x: torch.all(x, 1), (X.round(),)),
    "all along axes": (lambda x: torch.all(x, (0, 2)), (X.round(),)),
    "argmax of all": (torch.argmax, (X,)),
    "argmin of all": (lambda x: x.argmin(keepdim=True), (X,)),
    "argmax along an axis": (lambda x: x.argmax(1), (X,)),
    "var": (torch.var, (X,)),
    "biased std": (lambda x: aten.std(x, False), (X,)),
    "var along an axis": (lambda x: x.var(1), (X,)),
    "std with correction": (lambda x: x.std((1, 2), correction=2), (X,)),
    "biased var": (lambda x: aten.var.default(x, False), (X,)),
    "std without arguments": (aten.std.correction, (X,)),
    "var without arguments": (lambda x: aten.var.correction(x, keepdim=True), (X,)),
    "var and mean of axes": (lambda x: aten.var_mean.correction(x, [0, 1]), (X,)),
    "std and mean with correction": (
        lambda x: aten.std_mean.correction(x, [1], correction=0),
        (X,),
    ),
    "var and mean": (lambda x: torch.var_mean(x, dim=-1), (X,)),
    "std and mean": (torch.std_mean, (X,)),
    "cumsum from the end": (lambda x: x.cumsum(-2), (X,)),
    "cumprod from the end": (lambda x: x.cumprod(-1), (X,)),
    "cosine similarity": (lambda x, y: functional.cosine_similarity(x, y, dim=1), (X, Y)),
    "instance norm with statistics": (
        lambda x, m, v: functional.instance_norm(x, m, v, use_input_stats=False),
        (IMAGE, random(4), random(4).abs() + 0.5),
    ),
    "instance norm": (functional.instance_norm, (IMAGE,)),
    "rms norm": (lambda x, w: functional.rms_norm(x, (5,), w), (X * 300, random(5))),
    "rms norm of small": (lambda x: functional.rms_norm(x, (3, 5), eps=1e-3), (X * 0.01,)),
    "rms norm of nothing": (lambda x: functional.rms_norm(x, (5,), eps=1e-5), (X * 0,)),
    "alias": (lambda x: aten.alias(x) + 1, (X,)),
    "new_ones": (lambda x: x.new_ones(3, 5) + x, (X,)),
    "new_ones of booleans": (lambda m: m.new_ones((3, 5)) & m, (MASK,)),
    "new_ones of another dtype": (lambda x: x.new_ones((2,), dtype=torch.int64), (X,)),
    "new_zeros": (lambda x: x.new_zeros(()) + x, (X,)),
    "new_empty": (lambda x: x.new_empty((2, 2)).fill_(3.0), (X,)),
    "new_full": (lambda x: x.new_full((3, 5), 2) + x, (X,)),
    "ones_like": (lambda x: torch.ones_like(x, dtype=torch.bool), (X,)),
    "zeros_like": (lambda x: torch.zeros_like(x) + x, (X,)),
    "empty_like": (lambda x: torch.empty_like(x).fill_(2.0), (X,)),
    "full_like": (lambda x: torch.full_like(x, 2.5), (X,)),
    "where with a number": (lambda m, x: torch.where(m, x, 7), (MASK, X)),
    "where with a number first": (lambda m, x: torch.where(m, -1.0, x), (MASK, X)),
    "where with numbers": (lambda m: torch.where(m, 1.0, 2.0), (MASK,)),
    "triu of infinities": (lambda x: torch.triu(x - INF, 1), (X,)),
    "tril": (lambda x: torch.tril(x, -1), (X,)),
    "diff": (torch.diff, (X,)),
    "second diff along an axis": (lambda x: torch.diff(x, n=2, dim=1), (X,)),
    "diff with neighbours": (
        lambda x, p: torch.diff(x, dim=1, prepend=p, append=p),
        (X, random(2, 1, 5, seed=2)),
    ),
    "diff of booleans": (torch.diff, (MASK,)),
    "unfold": (lambda x: x.unfold(2, 3, 2), (X,)),
    "unfold an inner axis": (lambda x: x.unfold(-2, 2, 1), (X,)),
    "roll of all": (lambda x: x.roll(3), (X,)),
    "bucketize": (lambda x: torch.bucketize(x, torch.tensor([-1.0, 0, 1])), (X,)),
    "bucketize from the right": (
        lambda x: torch.bucketize(x, torch.tensor([-1.0, 0, 1]), right=True),
        (torch.tensor([-1.0, 0, 0.5, 1, 2]),),
    ),
    "circular padding": (lambda x: functional.pad(x, (2, 1, 1, 2), mode="circular"), (IMAGE,)),
    "negative padding": (lambda x: functional.pad(x, (1, -2), value=7.0), (X,)),
    "negative padding inside": (lambda x: aten.constant_pad_nd(x, [-1, 1], 2.0), (X,)),
    "nearest by a factor": (lambda x: functional.interpolate(x, scale_factor=1.7), (IMAGE,)),
    "nearest to a size": (lambda x: functional.interpolate(x, size=(13, 7)), (IMAGE,)),
    "nearest of a row": (lambda x: functional.interpolate(x, size=7), (X,)),
    "nearest of a volume": (lambda x: functional.interpolate(x[None], size=(3, 4, 7)), (IMAGE,)),
    "matrix times vector": (torch.matmul, (X, random(5))),
    "vector times matrix": (torch.matmul, (random(3), X)),
    "vector times vector": (torch.matmul, (random(5), random(5, seed=3))),
    "attention with groups": (
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (random(1, 4, 3, 8), random(1, 2, 5, 8, seed=1), random(1, 2, 5, 8, seed=2)),
    ),
    "attention with a scale": (
        lambda q, k, v: functional.scaled_dot_product_attention(
            q, k, v, enable_gqa=True, scale=0.3
        ),
        (random(1, 4, 3, 8), random(1, 2, 5, 8, seed=1), random(1, 2, 5, 8, seed=2)),
    ),
    "lstm with a projection": (torch.nn.LSTM(5, 6, proj_size=3).eval(), (random(7, 2, 5),)),
}


class Together(torch.nn.Module):
    """All cases in one program: exporting them one by one takes minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.modules_of_cases = torch.nn.ModuleList(
            f for f, _ in CASES.values() if isinstance(f, torch.nn.Module)
        )

    def forward(self, *inputs: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        rest = list(inputs)
        results = {}
        for name, (function, given) in CASES.items():
            own, rest = rest[: len(given)], rest[len(given) :]
            results[name] = leaves(function(*own))
        return results


def leaves(value: Any) -> list[torch.Tensor]:
    return [v for v in torch.utils._pytree.tree_leaves(value) if isinstance(v, torch.Tensor)]


def difference(wanted: torch.Tensor, got: torch.Tensor) -> str:
    if (wanted.dtype, wanted.shape) != (got.dtype, got.shape):
        return f"{got.dtype} {tuple(got.shape)} instead of {wanted.dtype} {tuple(wanted.shape)}"
    error = (wanted.double() - got.double()).abs()
    same = wanted == got
    worst = float(torch.where(same, 0.0, error / (wanted.double().abs() + 1e-3)).max())
    return f"off by {worst}" if not worst < 1e-5 else ""


def main() -> None:
    table = decompositions.table()
    applied: set[str] = set()

    def noting(target: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)
            if made is not NotImplemented:
                applied.add(str(target))
            return made

        return call

    watched = {target: noting(target, function) for target, function in table.items()}
    inputs = tuple(tensor.clone() for _, given in CASES.values() for tensor in given)
    module = Together().eval()
    with torch.no_grad():
        program = torch.export.export(module, inputs, strict=False).run_decompositions(watched)
        wanted, got = module(*inputs), program.module()(*inputs)
    wrong = {}
    for name in CASES:
        pairs = zip(wanted[name], got[name], strict=True)
        reasons = [r for r in (difference(a, b) for a, b in pairs) if r]
        if reasons:
            wrong[name] = "; ".join(reasons)
    missing = sorted({str(target) for target in table} - applied)
    sys.stdout.write(json.dumps({"wrong": wrong, "never_applied": missing}))


if __name__ == "__main__":
    main()
