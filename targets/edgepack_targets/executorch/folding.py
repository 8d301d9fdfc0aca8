"""Batch norms at evaluation, taken into the convolutions before them."""

from __future__ import annotations

from operator import getitem

import torch
from torch import Tensor, fx

from edgepack_targets.executorch import graphs

aten = torch.ops.aten

_NORM = "aten._native_batch_norm_legit_no_training.default"

CONVOLUTIONS = frozenset(
    {
        aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding,
        aten.conv3d.default,
    }
)  # fmt: skip
"""Their weights are (out, in / groups, taps…) and groups are argument 6."""


def fold_norms(module: fx.GraphModule) -> int:
    """Take batch norms at evaluation into the convolution before them, in float32; their number.

    In half their variances may overflow, and one rounding is better than two. A norm that follows
    something else becomes a multiplication and an addition.
    """
    norms = [
        node
        for node in module.graph.nodes
        if str(node.target) == _NORM
        and all(a is None or a.op == "get_attr" for a in node.args[1:5])
        and all(user.target is getitem and user.args[1] == 0 for user in node.users)
    ]
    for node in norms:
        made = _fold_norm(module, node)
        for user in list(node.users):
            user.replace_all_uses_with(made)
            module.graph.erase_node(user)
        module.graph.erase_node(node)
    return len(norms)


def _fold_norm(module: fx.GraphModule, norm: fx.Node) -> fx.Node:
    """The node that stands for a batch norm's result from now on."""
    before, weight, bias, mean, variance, _, epsilon = norm.args
    scale = (_double(module, variance) + epsilon).rsqrt()
    scale = scale if weight is None else scale * _double(module, weight)
    shift = (0.0 if bias is None else _double(module, bias)) - _double(module, mean) * scale
    if _can_take_norm(before):
        _scale_convolution(module, before, scale, shift)
        return before
    shape = [-1] + [1] * (norm.args[0].meta["val"].dim() - 2)
    with module.graph.inserting_before(norm):
        factor = graphs.add_constant(module, f"{norm.name}_scale", scale.float().view(shape))
        term = graphs.add_constant(module, f"{norm.name}_shift", shift.float().view(shape))
        scaled = module.graph.call_function(aten.mul.Tensor, (before, factor))
        made = module.graph.call_function(aten.add.Tensor, (scaled, term))
    scaled.meta["val"] = made.meta["val"] = before.meta["val"]
    return made


def _can_take_norm(node: fx.Node) -> bool:
    """Whether a node is a convolution with constant weights that only the norm uses."""
    return (
        node.target in CONVOLUTIONS
        and len(node.users) == 1
        and all(a is None or a.op == "get_attr" for a in node.args[1:3])
    )


def _scale_convolution(module: fx.GraphModule, node: fx.Node, scale: Tensor, shift: Tensor) -> None:
    """Give a convolution the weights that also do the norm behind it."""
    weight = _double(module, node.args[1])
    bias = next((_double(module, arg) for arg in node.args[2:3] if arg is not None), 0.0)
    folded = weight * scale.view([-1] + [1] * (weight.dim() - 1))
    with module.graph.inserting_before(node):
        node.update_arg(1, graphs.add_constant(module, f"{node.name}_folded", folded.float()))
        shifted = graphs.add_constant(module, f"{node.name}_shift", (bias * scale + shift).float())
    node.args = (*node.args[:2], shifted, *node.args[3:])


def _double(module: fx.GraphModule, node: fx.Node) -> Tensor:
    return graphs.tensor_of(module, node).double()
