"""int8 with float inputs and outputs: PT2E with the XNNPACK quantizer, its weights prepared by us.

Convolutions are quantized statically, with calibrated ranges; linear layers dynamically, with the range of
each row as it comes: a static scale for a whole tensor leaves 5 dB of MiniLM, a dynamic one 36 dB. Sums
and pools are int8 where all they take is.

PT2E alone, on EfficientNet-Lite0 with 64 calibration photos, comes to a median of 7 dB. Five things bring
it to 26 dB: relu6 fused into the convolution before it, which the quantizer does for relu alone
(executorch 1.5.1); channels evened out between convolutions; weights rounded so that filters keep their
sums; biases that make up for what rounding does to each channel's mean; and the few products in float
around the tensor that cannot bear it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torch import Tensor, fx
from torch.export import ExportedProgram
from torchao.quantization.pt2e import MinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from edgepack.wire import progress
from edgepack_targets.executorch import (
    equalizing,
    folding,
    graphs,
    recurrent,
    rounding,
    sensitivity,
    walking,
)  # fmt: skip

aten = torch.ops.aten

LEAST_SCALE = 2**-12
"""The quantizer's own lower limit: XNNPACK wants the ratio of scales within bounds."""

_LEAST_VALUES = 64
_CLAMPS = walking.CLAMPS - {aten.relu.default}
_JOINING = frozenset(
    {aten.adaptive_avg_pool2d.default, aten.add.Tensor, aten.cat.default, aten.mul.Tensor}
)
_PASSING = frozenset(
    {aten.clone.default, aten.dropout.default, aten.max_pool2d.default, aten.pad.default}
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """products: convolutions and linear layers whose weights are int8, of `candidates`."""

    products: int
    candidates: int


def quantize(
    program: ExportedProgram, cases: Sequence[walking.Case]
) -> tuple[ExportedProgram, Coverage]:
    """A program with its products in int8, calibrated on cases of its own inputs."""
    module = graphs.graph_of(program)
    folding.fold_norms(module)
    recurrent.loop(module)
    graphs.drop_unused(module)
    module = graphs.export(module, program).module(check_guards=False)
    some = walking.affordable(module, cases)
    progress.report("even out channels")
    equalizing.equalize(module, some)
    progress.report("measure the model")
    means = walking.channel_means(module, some)
    in_float = sensitivity.products_in_float(module, cases)
    _round_weights(module, in_float)
    converted = _calibrate(module, cases, in_float)
    progress.report("correct biases")
    _correct_biases(converted, some, means)
    return graphs.export(converted, program), _coverage(converted)


def _static() -> Any:
    """Symmetric int8 per channel for weights, affine int8 per tensor between seen extremes."""
    vendor = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    extremes = dataclasses.replace(
        vendor.input_activation,
        observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=LEAST_SCALE),
    )
    return dataclasses.replace(vendor, input_activation=extremes, output_activation=extremes)


def _calibrate(
    module: fx.GraphModule, cases: Sequence[walking.Case], in_float: frozenset[str]
) -> fx.GraphModule:
    """The graph with quantize and dequantize nodes, after seeing all cases."""
    static = _static()
    dynamic = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    _keep_integers(module)
    _fuse_clamps(module, static, in_float)
    wanted = _wanted(module, in_float)
    quantizer = XNNPACKQuantizer().set_global(static)
    quantizer.set_operator_type(aten.linear.default, dynamic)
    quantizer.set_filter_function(lambda node: node in wanted)
    prepared = prepare_pt2e(module, quantizer)
    with torch.no_grad():
        for number, case in enumerate(cases):
            progress.report("calibrate", number + 1, len(cases))
            prepared(*case)
    return convert_pt2e(prepared)


def _keep_integers(module: fx.GraphModule) -> None:
    """Keep the quantizer from making floats of numbers that are added to integers (1.5.1).

    It turns the numbers in add.Tensor and mul.Tensor into float tensors, so that indices become floats.
    """
    scalar = {aten.add.Tensor: aten.add.Scalar, aten.mul.Tensor: aten.mul.Scalar}
    for node in module.graph.nodes:
        number = node.target in scalar and not isinstance(node.args[1], fx.Node)
        if number and not node.meta["val"].is_floating_point():
            node.target = scalar[node.target]
    module.recompile()


def _wanted(module: fx.GraphModule, in_float: frozenset[str]) -> set[fx.Node]:
    """Nodes the quantizer may take: products and their weights, and what only takes int8 itself.

    Left to itself it also takes additions of indices, and what goes on inside loops (1.5.1).
    """
    wanted: set[fx.Node] = set()
    int8: set[fx.Node] = set()
    for node in module.graph.nodes:
        if node.op == "get_attr":
            wanted.add(node)
        elif node.target in walking.PRODUCTS and node.name not in in_float:
            wanted.add(node)
            int8 |= set() if node.target is aten.linear.default else {node}
        elif node.op == "call_function" and node.target not in walking.PRODUCTS:
            moving = [n for n in node.all_input_nodes if n.op != "get_attr"]
            passes = node.target in _PASSING or node.target in walking.CLAMPS
            if moving and all(n in int8 for n in moving) and (passes or node.target in _JOINING):
                wanted.add(node)
                int8.add(node)
    return wanted


def _fuse_clamps(module: fx.GraphModule, config: Any, in_float: frozenset[str]) -> None:
    """Annotate products before a relu6 so that only what leaves the relu6 is quantized."""
    for clamp in module.graph.nodes:
        product = clamp.args[0] if clamp.target in _CLAMPS else None
        if product is None or product.target not in walking.CONVOLUTIONS:
            continue
        if len(product.users) > 1 or product.name in in_float:
            continue
        specs = {product.args[0]: config.input_activation, product.args[1]: config.weight}
        bias = product.args[2] if len(product.args) > 2 else None  # noqa: PLR2004
        if bias is not None:
            specs[bias] = config.bias
        product.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
            input_qspec_map=specs, _annotated=True
        )
        clamp.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
            output_qspec=config.output_activation, _annotated=True
        )


def _round_weights(module: fx.GraphModule, in_float: frozenset[str]) -> None:
    """Put the weights of products on the steps the quantizer will choose, in place."""
    done: set[str] = set()
    for node in module.graph.nodes:
        weight = node.args[1] if node.target in walking.PRODUCTS else None
        if weight is None or weight.op != "get_attr" or node.name in in_float:
            continue
        if str(weight.target) not in done:
            tensor = graphs.tensor_of(module, weight)
            tensor.copy_(rounding.to_int8_grid(tensor, LEAST_SCALE))
            done.add(str(weight.target))


def _correct_biases(
    module: fx.GraphModule, cases: Sequence[walking.Case], means: dict[str, Tensor]
) -> None:
    """Move biases, in place, until each convolution's mean per channel is that of the float model.

    In the graph's order, so that a bias makes up for what all roundings before it did as well. A mean of
    a few values is more noise than error and is left alone, and so are linear layers: the means of token
    sequences are those of their padding (MiniLM loses 3 dB).
    """

    def visit(node: fx.Node, values: list[Any]) -> list[Any]:
        bias = node.args[2] if node.name in means and len(node.args) > 2 else None  # noqa: PLR2004
        if bias is None or bias.op != "get_attr" or len(bias.users) > 1:
            return values
        if walking.positions(values) < _LEAST_VALUES:
            return values
        shift = means[node.name] - walking.mean_of(values)
        graphs.tensor_of(module, bias).add_(shift)
        shaped = shift.view(-1, *[1] * (values[0].dim() - 2))
        return [value + shaped for value in values]

    walking.walk(module, cases, visit)


def _coverage(module: fx.GraphModule) -> Coverage:
    """How many of a converted graph's products take int8 weights."""
    products = [node for node in module.graph.nodes if node.target in walking.PRODUCTS]
    done = sum("dequantize" in str(node.args[1].target) for node in products)
    return Coverage(done, len(products))
