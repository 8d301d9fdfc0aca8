"""Half precision inside, float32 outside: a rewrite of the graph in the manner of autocast.

Products with weights run in half and their weights are stored so. Operators that follow their input
do. Everything else stays in float32, and so does what half cannot hold: attention masks at the lowest
float, epsilons, sums of squares. A value is narrowed where an operator of the first kind takes it, not
before, so a norm followed by a product loses nothing in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from edgepack_targets.executorch import folding, graphs, recurrent, rounding

aten = torch.ops.aten

LARGEST = torch.finfo(torch.float16).max
SMALLEST = torch.finfo(torch.float16).smallest_normal

PRODUCTS = frozenset(
    {
        "addmm.default", "baddbmm.default", "bmm.default", "conv1d.default", "conv1d.padding",
        "conv2d.default", "conv2d.padding", "conv3d.default", "conv3d.padding",
        "conv_transpose1d.default", "conv_transpose2d.input", "convolution.default",
        "embedding.default", "linear.default", "matmul.default", "mm.default",
    }
)  # fmt: skip
"""Operators of aten whose tensors all become half."""

FOLLOWERS = frozenset(
    {
        "abs.default", "adaptive_avg_pool1d.default", "adaptive_avg_pool2d.default", "add.Scalar",
        "add.Tensor", "alias.default", "avg_pool1d.default", "avg_pool2d.default", "cat.default",
        "chunk.default", "clamp.default", "clone.default", "constant_pad_nd.default",
        "contiguous.default", "div.Scalar", "div.Tensor", "dropout.default", "elu.default",
        "expand.default", "flatten.using_ints", "flip.default", "gelu.default",
        "hardsigmoid.default", "hardswish.default", "hardtanh.default", "index_select.default",
        "leaky_relu.default", "masked_fill.Scalar", "max_pool1d.default", "max_pool2d.default",
        "maximum.default", "minimum.default", "mul.Scalar", "mul.Tensor", "narrow.default",
        "neg.default", "pad.default", "permute.default", "pixel_shuffle.default", "prelu.default",
        "relu.default", "relu6.default", "repeat.default", "reshape.default", "select.int",
        "sigmoid.default", "silu.default", "slice.Tensor", "split.Tensor",
        "split_with_sizes.default", "squeeze.default", "squeeze.dim", "squeeze.dims",
        "stack.default", "sub.Scalar", "sub.Tensor", "t.default", "tanh.default", "transpose.int",
        "unbind.int", "unflatten.int", "unsqueeze.default", "upsample_bilinear2d.vec",
        "upsample_nearest2d.vec", "view.default", "where.self",
    }
)  # fmt: skip
"""Operators of aten that run in half when every tensor they are given is half already."""

WEIGHTS_ONLY = frozenset(recurrent.REPLACEMENTS.values()) | {recurrent.lstm_cell}
"""Operators of ours that are given half weights and look after their precision themselves."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """products: of `candidates` such operators, those that run in half. bytes: weights stored in half."""

    products: int
    candidates: int
    stored_bytes: int


@dataclass(slots=True)
class _Rewrite:
    """A graph being rewritten: which nodes are half by now, and the casts made so far."""

    module: fx.GraphModule
    halves: set[fx.Node] = field(default_factory=set)
    casts: dict[tuple[fx.Node, torch.dtype], fx.Node] = field(default_factory=dict)
    stored: dict[str, int] = field(default_factory=dict)


def narrow(module: fx.GraphModule) -> Coverage:
    """Rewrite a graph in place so that it computes in half where that is safe."""
    for node in list(module.graph.nodes):
        if _name(node) == "_assert_tensor_metadata.default":
            module.graph.erase_node(node)
        elif node.target is aten.lstm_cell.default and len(node.args) == 6:  # noqa: PLR2004 with biases
            node.target = recurrent.lstm_cell
    folding.fold_norms(module)
    rewrite = _Rewrite(module)
    products = candidates = 0
    for node in list(module.graph.nodes):
        if node.op == "output":
            _give(rewrite, node, torch.float32)
        if node.op != "call_function":
            continue
        kind = _kind(rewrite, node)
        if kind == "half":
            _give(rewrite, node, torch.float16)
            rewrite.halves.add(node)
        elif kind == "weights":
            _give(rewrite, node, torch.float16, weights_only=True)
        elif kind == "float":
            _give(rewrite, node, torch.float32)
        if node.target in WEIGHTS_ONLY | {attention} or _name(node) in PRODUCTS:
            candidates += 1
            products += kind != "float"
    module.graph.eliminate_dead_code()
    graphs.drop_unused(module)
    module.recompile()
    return Coverage(products, candidates, sum(rewrite.stored.values()))


def _kind(rewrite: _Rewrite, node: fx.Node) -> str:
    """How a node is to run: "half", "weights", "float", or "as is" for what only passes a tuple on."""
    module = rewrite.module
    if node.target is getitem:
        source = node.args[0]
        return "half" if source in rewrite.halves and _is_float(node) else "as is"
    floats = [n for n in node.all_input_nodes if _is_float(n)]
    constants = [n for n in floats if n.op == "get_attr"]
    if node.target in WEIGHTS_ONLY:
        return "weights" if all(_fits(module, n) for n in constants) else "float"
    if node.target is aten.scaled_dot_product_attention.default and _plain_attention(node):
        node.target = attention
        return "half"
    if not floats or not all(_fits(module, n) for n in constants):
        return "float"
    if _name(node) in PRODUCTS:
        return "half" if _all_float(node) else "float"
    moving = [n for n in floats if n.op != "get_attr"]
    follows = (
        _name(node) in FOLLOWERS
        and _all_float(node)
        and bool(moving)
        and all(n in rewrite.halves for n in moving)
        and all(_keeps(module, n) for n in constants)
        and all(_scalar_fits(s) for s in _scalars(node))
    )
    return "half" if follows else "float"


def _give(
    rewrite: _Rewrite, node: fx.Node, dtype: torch.dtype, *, weights_only: bool = False
) -> None:
    """Make the float32 tensors a node takes arrive as `dtype`."""

    def cast(source: fx.Node) -> fx.Node:
        constant = source.op == "get_attr"
        wanted = dtype if constant or not weights_only else torch.float32
        if not _is_float(source) or wanted is _dtype_now(rewrite, source):
            return source
        if (source, wanted) not in rewrite.casts:
            made = _stored_as_half(rewrite, source) if constant else _cast_after(source, wanted)
            rewrite.casts[source, wanted] = made
        return rewrite.casts[source, wanted]

    if node.target is attention and len(node.args) > 3:  # noqa: PLR2004 the mask stays as it is
        node.args = (*fx.map_arg(node.args[:3], cast), *node.args[3:])
        return
    node.args = fx.map_arg(node.args, cast)
    node.kwargs = fx.map_arg(node.kwargs, cast)


def _cast_after(source: fx.Node, dtype: torch.dtype) -> fx.Node:
    """A node that casts `source`, right behind it."""
    with source.graph.inserting_after(source):
        made = source.graph.call_function(aten.to.dtype, (source, dtype))
    made.meta = dict(source.meta)
    return made


def _stored_as_half(rewrite: _Rewrite, source: fx.Node) -> fx.Node:
    """An attribute's copy in half, beside it."""
    name = f"half_{str(source.target).replace('.', '_')}"
    value = rounding.to_half(graphs.tensor_of(rewrite.module, source))
    rewrite.module.register_buffer(name, value)
    rewrite.stored[name] = value.nbytes
    with source.graph.inserting_before(source):
        made = source.graph.get_attr(name)
    made.meta = dict(source.meta)
    return made


def _dtype_now(rewrite: _Rewrite, node: fx.Node) -> torch.dtype:
    """What a node that was float32 is by now."""
    return torch.float16 if node in rewrite.halves else torch.float32


def _name(node: fx.Node) -> str:
    """An aten operator's name without its namespace."""
    return str(node.target).removeprefix("aten.")


def _is_float(node: fx.Node) -> bool:
    """Whether a node gives a float32 tensor as the model was exported."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype is torch.float32


def _all_float(node: fx.Node) -> bool:
    """Whether a node gives float32 alone, as exported."""
    value = node.meta.get("val")
    values = value if isinstance(value, (tuple, list)) else [value]
    floats = [v.dtype is torch.float32 for v in values if isinstance(v, Tensor)]
    return bool(floats) and all(floats) and node.kwargs.get("dtype") is None


def _fits(module: fx.GraphModule, node: fx.Node) -> bool:
    """Whether half has the range of a constant."""
    return bool(graphs.tensor_of(module, node).abs().amax() <= LARGEST)


def _keeps(module: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a constant comes through half without becoming zero or losing digits."""
    value = graphs.tensor_of(module, node)
    lost = (value.half().float() - value).abs() > value.abs() * 2**-10
    return not bool(lost.any())


def _scalars(node: fx.Node) -> Iterator[float]:
    """The floating-point numbers written into a call."""
    for value in (*node.args, *node.kwargs.values()):
        yield from (v for v in (value if isinstance(value, list) else [value]) if type(v) is float)


def _scalar_fits(value: float) -> bool:
    """Whether half holds a number: infinities and zero count, epsilons do not."""
    return value == 0 or abs(value) == float("inf") or SMALLEST <= abs(value) <= LARGEST


def _plain_attention(node: fx.Node) -> bool:
    """Whether attention is without dropout, causality and grouped heads."""
    given = list(node.args[4:6])
    dropout, causal = given + [0.0, False][len(given) :]
    return not (dropout or causal or node.kwargs.get("enable_gqa")) and _is_float(node)


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *_: Any, **options: Any
) -> Tensor:
    """Scaled dot product attention with half products and the softmax in float32."""
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = torch.matmul(query * scale, key.transpose(-2, -1)).float()
    if mask is None:
        chances = functional.softmax(scores, dim=-1)
    else:
        lowest = float("-inf")
        scores = scores.masked_fill(~mask, lowest) if mask.dtype is torch.bool else scores + mask
        # Rows that are masked whole give zeros, as torch's own attention does.
        chances = torch.ops.aten._safe_softmax.default(scores, -1)  # noqa: SLF001 no public face
    return torch.matmul(chances.half(), value)
