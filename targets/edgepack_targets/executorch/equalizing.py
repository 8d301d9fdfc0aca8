"""Channels of one range: what makes a tensor with one scale for all channels lose less.

Where a convolution's output goes through nothing but additions into further convolutions, each channel
may be divided by a factor there and multiplied by it here. Weights have a scale per output channel, so
the division is free; the activations in between use all of their 256 steps. After Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019, arXiv:1906.04721.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from edgepack_targets.executorch import folding, graphs, walking

aten = torch.ops.aten

_PASSING = frozenset({aten.alias.default, aten.clone.default, aten.dropout.default})
_LEAST_FACTOR = 2**-6


@dataclass(slots=True)
class _Stream:
    """Values that share their channels: which convolutions make them, which take them."""

    members: list[fx.Node] = field(default_factory=list)
    producers: list[fx.Node] = field(default_factory=list)
    consumers: list[fx.Node] = field(default_factory=list)


def equalize(module: fx.GraphModule, cases: Sequence[walking.Case]) -> int:
    """Scale the weights of a graph in place; the number of streams that were evened out."""
    streams = _streams(module)
    peaks: dict[fx.Node, Tensor] = {}
    watched = {member for stream in streams for member in stream.members}

    def visit(node: fx.Node, values: list[Any]) -> list[Any]:
        if node in watched:
            each = [value.movedim(1, 0).flatten(1).abs().amax(1) for value in values]
            peaks[node] = torch.stack(each).amax(0)
        return values

    if streams:
        walking.walk(module, cases, visit)
    for stream in streams:
        highest = torch.stack([peaks[member] for member in stream.members]).amax(0)
        factors = (highest / highest.max().clamp(min=1e-30)).clamp(min=_LEAST_FACTOR)
        _scale(module, stream, factors)
    return len(streams)


def _streams(module: fx.GraphModule) -> list[_Stream]:
    """The streams of a graph whose weights may be scaled, each weight being used once."""
    uses: dict[str, int] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            uses[str(node.target)] = uses.get(str(node.target), 0) + len(node.users)
    shared = {name for name, count in uses.items() if count > 1}
    found: list[_Stream] = []
    seen: set[fx.Node] = set()
    for node in module.graph.nodes:
        if _is_convolution(node) and node not in seen:
            stream = _stream_from(node)
            if stream is not None:
                seen.update(stream.members)
                weights = {str(arg.target) for n in (*stream.producers, *stream.consumers)
                           for arg in _weights(n)}  # fmt: skip
                found += [stream] if stream.consumers and not weights & shared else []
    return found


def _stream_from(start: fx.Node) -> _Stream | None:
    """The stream a convolution's output belongs to; None where it meets anything else."""
    stream, queue = _Stream(), [start]
    while queue:
        node = queue.pop()
        if node in stream.members:
            continue
        stream.members.append(node)
        if _is_convolution(node):
            stream.producers.append(node)
        elif _joins(node):
            queue += node.all_input_nodes
        else:
            return None
        for user in node.users:
            if _is_convolution(user) and user.args[0] is node and _takes_channels(user):
                stream.consumers += [user] if user not in stream.consumers else []
            elif _joins(user):
                queue.append(user)
            else:
                return None
    return stream


def _is_convolution(node: fx.Node) -> bool:
    """Whether a node is a convolution with constant weights."""
    return node.target in folding.CONVOLUTIONS and len(_weights(node)) == sum(
        arg is not None for arg in node.args[1:3]
    )


def _weights(node: fx.Node) -> list[fx.Node]:
    """The constant weight and bias of a convolution."""
    return [arg for arg in node.args[1:3] if isinstance(arg, fx.Node) and arg.op == "get_attr"]


def _takes_channels(node: fx.Node) -> bool:
    """Whether each input channel of a convolution has weights of its own: dense or depthwise."""
    groups = node.args[6] if len(node.args) > 6 else 1  # noqa: PLR2004 after stride, padding, dilation
    return groups == 1 or node.args[1].meta["val"].shape[1] == 1


def _joins(node: fx.Node) -> bool:
    """Whether a node adds two values of one shape, pads with zeros, or changes nothing."""
    if node.target is aten.add.Tensor:
        shapes = [n.meta["val"].shape for n in node.all_input_nodes]
        return len(shapes) == 2 and shapes[0] == shapes[1] and not node.kwargs  # noqa: PLR2004
    if node.target is aten.pad.default:
        given = list(node.args[2:4])
        mode, value = given + ["constant", None][len(given) :]
        channels_kept = len(node.args[1]) <= 2 * (node.meta["val"].dim() - 2)
        return mode == "constant" and not value and channels_kept
    return node.target in _PASSING


def _scale(module: fx.GraphModule, stream: _Stream, factors: Tensor) -> None:
    """Divide what makes a stream and multiply what takes it, in place."""
    for node in stream.producers:
        for arg in _weights(node):
            tensor = graphs.tensor_of(module, arg)
            tensor.div_(factors.view(-1, *[1] * (tensor.dim() - 1)))
    for node in stream.consumers:
        weight = graphs.tensor_of(module, node.args[1])
        if weight.shape[1] == factors.numel():
            weight.mul_(factors.view(1, -1, *[1] * (weight.dim() - 2)))
        else:
            each = factors.repeat_interleave(weight.shape[0] // factors.numel())
            weight.mul_(each.view(-1, *[1] * (weight.dim() - 1)))
