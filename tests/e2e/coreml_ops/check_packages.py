"""Small modules through the whole conversion, evaluated without Core ML and compared with torch.

Argument: the folder to work in. Prints as JSON {model: worst relative error, or a reason}.
Imports once and forks for every conversion, since coremltools keeps state between two of them.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools  # noqa: F401 before the forks
import evaluator
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgepack.errors import EdgepackError
from edgepack.wire.types import ConvertJob, Recipe, Signature, TensorSpec
from edgepack_targets import coreml
from edgepack_targets.coreml import decompositions

INF = float("inf")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


X, Y = random(2, 3, 5), random(2, 3, 5, seed=1)
SEQUENCE = random(2, 7, 5)
A, B = X > 0, Y > 0
PICKS = torch.tensor([2, 0])
LARGE = torch.tensor([40000, 70000, -40000, 5, 65535, -32769])


class Module(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = self.function(*inputs)
        leaves = torch.utils._pytree.tree_leaves(made)
        return tuple(v for v in leaves if isinstance(v, torch.Tensor))


def stateful(layer: nn.RNNBase) -> Callable[..., Any]:
    """A recurrent layer that takes and gives its states as plain tensors."""

    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor, *states: torch.Tensor) -> Any:
            return self.layer(x, states if len(states) > 1 else states[0])

    return Stateful()


def causal(x: torch.Tensor) -> torch.Tensor:
    mask = torch.triu(torch.full((x.shape[-1], x.shape[-1]), -INF), 1)
    return torch.softmax(x @ x.mT @ torch.ones(3, 3) + mask[:3, :3], -1)


def masked_by_product(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x + (1 - mask) * torch.finfo(torch.float32).min, -1)


def nearly_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * 0.5005 * (1 + torch.erf(x / 1.4139))


torch.manual_seed(7)
KEEP = torch.tensor([[1.0, 1, 0, 1, 0]])
MODELS: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...], str]] = {
    "lstm": (nn.LSTM(5, 6), (random(7, 2, 5),), "fp32"),
    "lstm half": (nn.LSTM(5, 6, batch_first=True), (SEQUENCE,), "fp16"),
    "lstm without bias": (nn.LSTM(5, 6, bias=False), (random(7, 2, 5),), "fp32"),
    "lstm bidirectional": (
        nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True),
        (SEQUENCE,),
        "fp32",
    ),
    "lstm states": (
        stateful(nn.LSTM(5, 6, 2, batch_first=True)),
        (SEQUENCE, random(2, 2, 6), random(2, 2, 6, seed=2)),
        "fp32",
    ),
    "lstm one step": (
        stateful(nn.LSTM(5, 6, batch_first=True)),
        (random(1, 1, 5), random(1, 1, 6), random(1, 1, 6, seed=2)),
        "fp32",
    ),
    "gru": (nn.GRU(5, 6), (random(7, 2, 5),), "fp32"),
    "gru half": (nn.GRU(5, 6, batch_first=True), (SEQUENCE,), "fp16"),
    "gru without bias": (nn.GRU(5, 6, bias=False), (random(7, 2, 5),), "fp32"),
    "gru bidirectional": (
        nn.GRU(5, 6, 2, batch_first=True, bidirectional=True),
        (SEQUENCE,),
        "fp32",
    ),
    "gru states": (stateful(nn.GRU(5, 6, 2)), (random(7, 2, 5), random(2, 2, 6)), "fp32"),
    "gru one step": (stateful(nn.GRU(5, 6)), (random(1, 1, 5), random(1, 1, 6)), "fp32"),
    "rnn_tanh": (nn.RNN(5, 6, 2, bidirectional=True), (random(7, 2, 5),), "fp32"),
    "rnn_relu": (nn.RNN(5, 6, nonlinearity="relu", batch_first=True), (SEQUENCE,), "fp32"),
    "rnn states": (stateful(nn.RNN(5, 6)), (random(3, 2, 5), random(1, 2, 6)), "fp32"),
    "gelu": (functional.gelu, (X,), "fp32"),
    "gelu tanh": (lambda x: functional.gelu(x, approximate="tanh"), (X,), "fp32"),
    "embedding_bag": (nn.EmbeddingBag(9, 4), (torch.tensor([[1, 2, 8], [0, 8, 3]]),), "fp32"),
    "embedding_bag maximum": (
        nn.EmbeddingBag(9, 4, mode="max"),
        (torch.tensor([[1, 2, 8], [0, 8, 3]]),),
        "fp32",
    ),
    "prod": (torch.prod, (X,), "fp32"),
    "prod along an axis": (lambda x: x.prod(1, keepdim=True), (X,), "fp32"),
    "index_copy": (lambda x, s: x.index_copy(1, PICKS, s), (X, random(2, 2, 5)), "fp32"),
    "index_add": (
        lambda x, s: x.index_add(-2, torch.tensor([0, 2, 0]), s, alpha=2.0),
        (X, Y),
        "fp32",
    ),
    "index_fill": (lambda x: x.index_fill(2, PICKS, 3.0), (X,), "fp32"),
    "index_fill of integers": (lambda x: x.index_fill(0, PICKS[1:], 70000), (LARGE,), "fp16"),
    "and": (lambda a, b: a & b, (A, B), "fp32"),
    "or": (lambda a, b: a | b, (A, B), "fp32"),
    "xor": (lambda a, b: a ^ b, (A, B), "fp32"),
    "bitwise_or": (torch.bitwise_or, (A, B), "fp32"),
    "bitwise_xor": (torch.bitwise_xor, (A, B), "fp32"),
    "root of a square": (lambda x: torch.sqrt(x**2), (X,), "fp32"),
    "nearly a gelu": (nearly_gelu, (X,), "fp32"),
    "causal mask": (causal, (X,), "fp32"),
    "causal mask half": (causal, (X,), "fp16"),
    "mask by a product half": (masked_by_product, (X, KEEP), "fp16"),
    "large integers picked half": (lambda x: x[torch.tensor([0, 2, 5])], (LARGE,), "fp16"),
    "large integers gathered half": (lambda x, i: x.gather(0, i), (LARGE, PICKS), "fp16"),
    "large table half": (lambda i: LARGE[i], (PICKS,), "fp16"),
    "large integers squeezed half": (lambda x: (x[None] + 1).squeeze(0), (LARGE,), "fp16"),
    "reciprocal of small": (lambda x: 1 / x, (torch.tensor([1e-5, 1e-3, 2.0]),), "fp32"),
    "addition with a factor": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y), "fp32"),
}
# Without our own decompositions, what coremltools gets wrong must be noticed.
BARE: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...], str]] = {
    "overlooked argument": (lambda x, y: torch.add(x, y, alpha=0.5), (X, Y), "fp32"),
    "another shape": (torch.argmax, (X,), "fp32"),
}
TOLERANCE = {"fp32": 2e-5, "fp16": 8e-3}


def spec(name: str, tensor: torch.Tensor) -> TensorSpec:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return TensorSpec(name=name, dtype=dtype, shape=tuple(tensor.shape))


def check(name: str, folder: Path) -> float | str:
    """The worst relative error of a model's outputs, or why there is none."""
    function, inputs, precision = (MODELS | BARE)[name]
    if name in BARE:
        decompositions.table = dict
    module = Module(function).eval()
    with torch.no_grad():
        wanted = module(*inputs)
        torch.export.save(torch.export.export(module, inputs, strict=False), folder / "model.pt2")
    signature = Signature(
        name="main",
        inputs=tuple(spec(f"input_{i}", t) for i, t in enumerate(inputs)),
        outputs=tuple(spec(f"output_{i}", t) for i, t in enumerate(wanted)),
    )
    recipe = Recipe(target="coreml", precision=precision, options=(("minimum_ios", "17.0"),))
    job = ConvertJob(
        model=str(folder / "model.pt2"), signature=signature, dimensions=(), recipe=recipe,
        base="", calibration="", stem="model", out=str(folder),
    )  # fmt: skip
    artifact = coreml.convert(job)
    pairs = zip(artifact.signature.inputs, inputs, strict=True)
    feed = {t.name: np.atleast_1d(value.numpy()).astype(t.dtype) for t, value in pairs}
    got = evaluator.evaluate(folder / artifact.file, feed)
    worst = 0.0
    for tensor, value in zip(artifact.signature.outputs, wanted, strict=True):
        made = got[tensor.name]
        if made.shape != tensor.shape or str(made.dtype) != tensor.dtype:
            return f"{tensor.name} is {made.dtype} {made.shape}"
        reference = value.numpy().astype(np.float64).reshape(made.shape)
        scale = max(1.0, float(np.abs(reference).max(initial=0)))
        worst = max(worst, float(np.abs(reference - made).max(initial=0)) / scale)
    if not math.isfinite(worst) or worst > TOLERANCE[precision]:
        return f"off by {worst}"
    return worst


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    results: dict[str, float | str] = {}
    for name in MODELS | BARE:
        place = folder / name.replace(" ", "-")
        place.mkdir()
        child = os.fork()
        if child == 0:
            os.chdir(place)
            try:
                result: float | str = check(name, place)
            except EdgepackError as error:
                result = f"{error.code} {error.message} {error.why}"
            except Exception as error:  # noqa: BLE001 reported to the test
                result = f"{type(error).__name__} {error}"
            (place / "result.json").write_text(json.dumps(result))
            os._exit(0)
        os.waitpid(child, 0)
        answer = place / "result.json"
        results[name] = json.loads(answer.read_text()) if answer.exists() else "the process died"
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
