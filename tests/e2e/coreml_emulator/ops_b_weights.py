"""Compressed weights: emulated, against coremltools' own decompression, with no difference allowed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from coremltools.converters.mil.mil import types
from ops_b_case import Case, check, convert, floats, predicted, random

INPUTS = {"x": floats(4, 64), "image": floats(1, 16, 9, 9)}
_WHOLE = {1: types.np_uint1_dtype, 2: types.np_uint2_dtype, 3: types.np_uint3_dtype,
4: types.np_uint4_dtype,
          6: types.np_uint6_dtype, 8: np.uint8}  # fmt: skip


def layers(ios: int, precision: ct.precision, *, coarse: bool = False) -> Any:
    """A linear layer and a convolution, (96, 64) and (32, 16, 3, 3). coarse: weights -0.5, 0 and 0.5."""
    linear, kernel = floats(96, 64), floats(32, 16, 3, 3)
    if coarse:
        linear, kernel = (np.clip(np.round(w), -1, 1) * np.float32(0.5) for w in (linear, kernel))

    def build(x: Any, image: Any) -> Any:
        return mb.linear(x=x, weight=linear, name="rows"), mb.conv(
            x=image, weight=kernel, name="planes"
        )

    options = {"compute_precision": precision, "pass_pipeline": ct.PassPipeline.DEFAULT}
    return convert(build, INPUTS, ios, **options)


def configured(config: Any) -> Any:
    return cto.OptimizationConfig(global_config=config)


def palettized(bits: int, **how: Any) -> Callable[..., Any]:
    """Palettes of values a step apart, which need no clustering; of vectors, of all there are."""
    mode = {"mode": "unique"} if "cluster_dim" in how else {"mode": "uniform", "nbits": bits}
    config = cto.OpPalettizerConfig(weight_threshold=0, **mode, **how)
    return lambda model, **more: cto.palettize_weights(model, configured(config), **more)


def quantized(**how: Any) -> Callable[..., Any]:
    config = cto.OpLinearQuantizerConfig(weight_threshold=0, **how)
    return lambda model, **more: cto.linear_quantize_weights(model, configured(config), **more)


def pruned(**how: Any) -> Callable[..., Any]:
    config = cto.OpMagnitudePrunerConfig(weight_threshold=0, **how)
    return lambda model, **more: cto.prune_weights(model, configured(config), **more)


def jointly(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[..., Any]:
    return lambda model: second(first(model), joint_compression=True)


OLD: dict[str, Callable[..., Any]] = {
    **{f"palettized to {bits} bits": palettized(bits) for bits in (1, 2, 4, 6, 8)},
    **{f"quantized {mode} {dtype}": quantized(mode=mode, dtype=dtype)
       for mode, dtype in itertools.product(("linear", "linear_symmetric"), ("int8", "uint8"))},
    "pruned by half": pruned(target_sparsity=0.5),
    "pruned 2 of 4": pruned(n_m_ratio=(2, 4)),
}  # fmt: skip
NEW: dict[str, Callable[..., Any]] = {
    **{f"palettized to {bits} bits": palettized(bits) for bits in (1, 2, 3, 4, 6, 8)},
    **{f"palettized to {bits} bits in groups of 8 {axis}": palettized(bits,
    granularity="per_grouped_channel", group_size=8, channel_axis=axis)
       for bits, axis in ((3, 0), (4, 1), (8, 0))},
    "palettized in vectors of 2": palettized(4, cluster_dim=2),
    "palettized in vectors of 4 along 1, in groups": palettized(
        2, cluster_dim=4, granularity="per_grouped_channel", group_size=16, channel_axis=1),
    "palettized with scales": palettized(4, enable_per_channel_scale=True),
    "palettized with scales in groups": palettized(
        4, enable_per_channel_scale=True, granularity="per_grouped_channel", group_size=4),
    **{f"quantized {dtype} {granularity} {mode}": quantized(
            mode=mode, dtype=dtype, granularity=granularity,
            **({"block_size": 8} if granularity == "per_block" else {}))
       for mode, dtype, granularity in itertools.product(
           ("linear", "linear_symmetric"), ("int4", "uint4", "int8", "uint8"),
           ("per_tensor", "per_channel", "per_block"))},
    "pruned": pruned(target_sparsity=0.75),
    "pruned, quantized": jointly(pruned(target_sparsity=0.5),
    quantized(mode="linear_symmetric", dtype="int8")),
    "pruned, quantized to 4 bits by block": jointly(
        pruned(target_sparsity=0.5), quantized(mode="linear_symmetric", dtype="int4",
        granularity="per_block", block_size=8)),
    "pruned, palettized": jointly(pruned(target_sparsity=0.5), palettized(4)),
    "pruned, palettized in groups": jointly(
        pruned(target_sparsity=0.5),
        palettized(2, granularity="per_grouped_channel", group_size=8)),
    "palettized, quantized": jointly(palettized(4),
    quantized(mode="linear_symmetric", dtype="int8", granularity="per_tensor")),
    "palettized in vectors, quantized": jointly(
        palettized(4, cluster_dim=2),
        quantized(mode="linear_symmetric", dtype="int8", granularity="per_tensor")),
}  # fmt: skip


def check_layers() -> int:
    """Layers compressed in every way: equal to the same with weights that coremltools decompressed."""
    done = 0
    for ios, ways in ((16, OLD), (18, NEW)):
        for precision in (ct.precision.FLOAT32, ct.precision.FLOAT16):
            models = [layers(ios, precision, coarse=coarse) for coarse in (False, True)]
            for name, way in ways.items():
                if precision is ct.precision.FLOAT32 and "symmetric" in name:
                    continue  # the same as without, but for the numbers; fp16 tries them all
                model = models["vectors" in name]
                try:
                    small = way(model)
                    plain = cto.decompress_weights(small)
                except Exception as error:  # whatever its passes raise
                    raise RuntimeError(f"coremltools cannot make {name} for iOS {ios}") from error
                operations = small.get_spec().mlProgram.functions["main"].block_specializations
                kinds = {o.type for block in operations.values() for o in block.operations}
                assert any(kind.startswith("constexpr_") for kind in kinds), (
                    f"{name}: nothing is compressed"
                )
                found, wanted = predicted(small, INPUTS), predicted(plain, INPUTS)
                for result, value in wanted.items():
                    most = np.abs(found[result] - value).max()
                    assert most == 0, f"{name} iOS {ios} {precision}: {result} differs by {most}"
                done += 1
    return done


def indices(shape: tuple[int, ...], bits: int) -> np.ndarray:
    return random.integers(0, 2**bits, shape).astype(np.uint8).astype(_WHOLE[bits])


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    apart = np.unpackbits(
        values.astype(np.uint8).reshape(-1, 1), axis=1, count=bits, bitorder="little"
    )
    return np.packbits(apart.reshape(-1), bitorder="little")


def operation(name: str, since: int, until: int, kind: str, **settings: Any) -> Case:
    """A single operator of constants; expected is what its own definition materializes."""
    made: list[Any] = []

    def build(x: Any) -> Any:
        result = getattr(mb, kind)(**settings)
        if isinstance(result, tuple | list):
            result = mb.constexpr_sparse_to_dense(nonzero_data=result[1], mask=result[0])
        made[:] = [np.asarray(result.op.materialized_val_inference(), np.float32)]
        return (mb.cast(x=result, dtype="fp32") if types.is_int(result.dtype) else result), x

    return Case(
        name, build, (floats(1),), lambda x: (made[0], x), since=since, until=until, tolerance=0,
        peer=False
    )  # fmt: skip


def cases() -> Iterator[Case]:
    for dtype in (np.float32, np.float16):
        data = random.integers(-128, 128, (5, 7, 3)).astype(np.int8)
        scale = random.uniform(0.01, 0.1, 7).astype(dtype)
        yield operation("affine, one", 16, 17, "constexpr_affine_dequantize", quantized_data=data,
                        zero_point=np.int8(3), scale=dtype(0.013), axis=0)  # fmt: skip
        yield operation("affine, many", 16, 17, "constexpr_affine_dequantize",
        quantized_data=(data.astype(np.int16) + 128).astype(np.uint8),
                        zero_point=np.arange(7, dtype=np.uint8), scale=scale, axis=-2)  # fmt: skip
        for bits, shape in itertools.product((1, 2, 4, 6, 8), ((3, 5, 7), (11,))):
            places = random.integers(0, 2**bits, math.prod(shape))
            yield operation(f"lut {bits} {shape}", 16, 17, "constexpr_lut_to_dense",
            indices=packed(places, bits),
                            lut=floats(2**bits).astype(dtype), shape=np.uint32(shape))  # fmt: skip
        mask = random.integers(0, 2, 3 * 5 * 7)
        yield operation("sparse", 16, 17, "constexpr_sparse_to_dense",
        nonzero_data=floats(mask.sum()).astype(dtype),
                        mask=packed(mask, 1), shape=np.uint32([3, 5, 7]))  # fmt: skip
        yield from new(dtype)


def new(dtype: Any) -> Iterator[Case]:
    shape, blocks = (4, 6, 10), ((1, 1, 1), (4, 1, 1), (2, 3, 1), (1, 6, 5), (4, 6, 10))
    for block, offset in itertools.product(blocks, ("", "same", "float")):
        data = random.integers(-128, 128, shape).astype(np.int8)
        given = {
            "same": random.integers(-20, 20, block).astype(np.int8),
            "float": floats(*block).astype(dtype),
        }
        yield operation(f"blockwise {block} {offset}", 18, 18, "constexpr_blockwise_shift_scale",
        data=data,
                        scale=random.uniform(0.01, 0.1, block).astype(dtype),
                        offset=given.get(offset))  # fmt: skip
    for bits, block in itertools.product(_WHOLE, blocks[:-1]):
        yield operation(f"lut {bits} {block}", 18, 18, "constexpr_lut_to_dense",
        indices=indices(shape, bits),
                        lut=floats(*block, 2**bits, 1).astype(dtype))  # fmt: skip
    for block, axis in itertools.product(blocks[:-1], (0, 1, -1)):
        yield operation(f"lut of vectors {block} {axis}", 18, 18, "constexpr_lut_to_dense",
        indices=indices(shape, 3),
                        lut=floats(*block, 8, 3).astype(dtype),
                        vector_axis=np.int32(axis))  # fmt: skip
    mask = indices(shape, 1)
    count = int((mask != 0).sum())
    yield operation(
        "sparse",
        18,
        18,
        "constexpr_sparse_to_dense",
        nonzero_data=floats(count).astype(dtype),
        mask=mask,
    )
    for axis, size in ((None, 1), (0, 2), (2, 3)):
        yield operation(f"lut to sparse {axis}", 18, 18, "constexpr_lut_to_sparse",
        indices_mask=mask, indices_nonzero_data=indices((count,), 2),
                        lut=floats(2, 1, 5, 4, size).astype(dtype),
                        vector_axis=None if axis is None else np.int32(axis))  # fmt: skip
    yield operation("sparse blockwise", 18, 18, "constexpr_sparse_blockwise_shift_scale",
                    data_mask=mask,
                    nonzero_data=random.integers(-128, 128, count).astype(np.int8),
                    scale=random.uniform(0.1, 1, (4, 1, 2)).astype(dtype),
                    offset=random.integers(-9, 9, (4, 1, 2)).astype(np.int8))  # fmt: skip
    for ios in (16, 18):
        yield operation(
            "cast",
            ios,
            17 if ios < 18 else 18,
            "constexpr_cast",
            source_val=floats(3, 4).astype(np.float16),
            output_dtype="fp32",
        )


def check_operators() -> list[int]:
    every = list(cases())
    return [check(every, ios) for ios in (16, 17, 18)]
