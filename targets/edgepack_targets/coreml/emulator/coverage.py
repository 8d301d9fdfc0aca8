"""Which operators there are in which system, and which of them the emulator has.

The names are those of coremltools 9.0's registry, by the first iOS whose programs may hold them, found by

    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    for name, versions in SSAOpRegistry.core_ops.items():
        since = max(15, min(int(target.name.removeprefix("iOS")) for target in versions))

without names that start with an underscore, which are no operators of a package, and with `write_state`,
which only packages have: `coreml_update_state` is written as it and `read_state`. iOS 26 has added none.
What an operator takes and does may differ by system under one name. Calls to an app's own code,
`custom_layer`, are not among them: nothing but the app can compute those.
"""

from __future__ import annotations

from dataclasses import dataclass

SINCE: dict[int, frozenset[str]] = {
    15: frozenset(
        {
            "abs", "acos", "add", "affine", "argsort", "asin", "atan", "atanh", "avg_pool",
            "band_part", "batch_norm", "batch_to_space", "cast", "ceil", "clamped_relu", "classify",
            "clip", "concat", "cond", "const", "conv", "conv_quantized", "conv_transpose", "cos",
            "cosh", "crop", "crop_resize", "cumsum", "depth_to_space", "einsum", "elu", "equal",
            "erf", "exp", "exp2", "expand_dims", "fill", "flatten2d", "floor", "floor_div",
            "gather", "gather_along_axis", "gather_nd", "gelu", "greater", "greater_equal", "gru",
            "identity", "instance_norm", "inverse", "l2_norm", "l2_pool", "layer_norm",
            "leaky_relu", "less", "less_equal", "linear", "linear_activation", "list_gather",
            "list_length", "list_read", "list_scatter", "list_write", "local_response_norm", "log",
            "logical_and", "logical_not", "logical_or", "logical_xor", "lstm", "make_list",
            "matmul", "max_pool", "maximum", "minimum", "mod", "mul", "non_maximum_suppression",
            "non_zero", "not_equal", "one_hot", "pad", "pixel_shuffle", "pow", "prelu",
            "random_bernoulli", "random_categorical", "random_normal", "random_uniform", "range_1d",
            "real_div", "reduce_argmax", "reduce_argmin", "reduce_l1_norm", "reduce_l2_norm",
            "reduce_log_sum", "reduce_log_sum_exp", "reduce_max", "reduce_mean", "reduce_min",
            "reduce_prod", "reduce_sum", "reduce_sum_square", "relu", "relu6", "resample",
            "reshape", "resize_bilinear", "resize_nearest_neighbor", "reverse", "reverse_sequence",
            "rnn", "round", "rsqrt", "scaled_tanh", "scatter", "scatter_along_axis", "scatter_nd",
            "select", "shape", "sigmoid", "sigmoid_hard", "sign", "silu", "sin", "sinh",
            "slice_by_index", "slice_by_size", "sliding_windows", "softmax", "softplus",
            "softplus_parametric", "softsign", "space_to_batch", "space_to_depth", "split", "sqrt",
            "square", "squeeze", "stack", "sub", "tan", "tanh", "threshold", "thresholded_relu",
            "tile", "topk", "transpose", "upsample_bilinear", "upsample_nearest_neighbor",
            "while_loop",
        }
    ),
    16: frozenset(
        {
            "constexpr_affine_dequantize", "constexpr_cast", "constexpr_lut_to_dense",
            "constexpr_sparse_to_dense", "fill_like", "pixel_unshuffle", "reshape_like",
        }
    ),
    17: frozenset(
        {
            "dequantize", "quantize", "resize",
        }
    ),
    18: frozenset(
        {
            "constexpr_blockwise_shift_scale", "constexpr_lut_to_sparse",
            "constexpr_sparse_blockwise_shift_scale", "read_state", "scaled_dot_product_attention",
            "slice_update", "write_state",
        }
    ),
}  # fmt: skip

SYSTEMS = (15, 16, 17, 18, 26)
"""The systems whose opsets programs are written for."""

_OF_PROGRAMS = frozenset({"const", "cond", "while_loop"})
"""What program.py does itself."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Operators of one system's programs. ios: the system. missing: those the emulator refuses."""

    ios: int
    operators: frozenset[str]
    missing: frozenset[str]

    @property
    def count(self) -> int:
        """How many operators the emulator has."""
        return len(self.operators) - len(self.missing)


def existing(ios: int) -> frozenset[str]:
    """Operators that programs for a system may hold."""
    return frozenset().union(*(names for since, names in SINCE.items() if since <= ios))


def covered() -> tuple[Coverage, ...]:
    """For each system, what there is and what is missing."""
    from edgepack_targets.coreml.emulator import operators
    from edgepack_targets.coreml.emulator.operators import registry

    assert operators.__all__, "importing the operators registers them"
    had = registry.OPERATORS.keys() | _OF_PROGRAMS
    return tuple(Coverage(ios, existing(ios), existing(ios) - had) for ios in SYSTEMS)


def table() -> str:
    """A line for each system: its operators, how many the emulator has, the names of those it lacks."""
    lines = ["system  operators  covered  missing"]
    for of in covered():
        missing = ", ".join(sorted(of.missing)) or "none"
        lines.append(f"iOS {of.ios:<4}{len(of.operators):>9}{of.count:>9}  {missing}")
    return "\n".join(lines)
