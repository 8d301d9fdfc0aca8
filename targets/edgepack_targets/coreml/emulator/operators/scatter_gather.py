"""Reading and writing by index (coremltools, mil/ops/defs/iOS15/scatter_gather.py).

Up to iOS 16 a negative index counts from the end. Since iOS 17 (its scatter_gather.py) it is out of
range: with `validate_indices` that fails; without, the definition leaves the result open, and here
reading takes the nearest value there is and writing leaves the value out.
"""

from __future__ import annotations

import math

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator

_NEGATIVE_IS_OUT = 17
_REDUCTIONS = {"mul": "prod", "max": "amax", "min": "amin", "div": "prod"}


@operator("gather", moves=True)
def gather(
    site: Site,
    x: Tensor,
    indices: Tensor,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """Slices of `x` along an axis, in the shape of the indices.

    batch_dims: how many first axes x and indices share. The result has the axes of x, with `axis`
    replaced by those of the indices that are not shared.
    """
    axis %= x.dim()
    places = _readable(site, indices, x.shape[axis], validate_indices)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    if batch_dims == 0:
        return x.index_select(axis, places.reshape(-1)).reshape(before + indices.shape + after)
    own = indices.shape[batch_dims:]
    between = (1,) * (axis - batch_dims)
    places = places.reshape(*indices.shape[:batch_dims], *between, own.numel(), *(1,) * len(after))
    found = x.gather(axis, places.expand(*before, own.numel(), *after))
    return found.reshape(before + own + after)


@operator("gather_along_axis", moves=True)
def gather_along_axis(
    site: Site, x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False
) -> Tensor:
    """For each index, the value of `x` at that place along an axis; other axes agree or are 1."""
    axis %= x.dim()
    places = _readable(site, indices, x.shape[axis], validate_indices)
    sizes = [max(a, b) for a, b in zip(x.shape, indices.shape, strict=True)]
    sizes[axis] = x.shape[axis]
    wanted = [*sizes[:axis], indices.shape[axis], *sizes[axis + 1 :]]
    return x.expand(sizes).gather(axis, places.expand(wanted))


@operator("gather_nd", moves=True)
def gather_nd(
    site: Site,
    x: Tensor,
    indices: Tensor,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """Slices of `x`, each found by the indices along the last axis of `indices`.

    batch_dims: how many first axes x and indices share.
    """
    depth = indices.shape[-1]
    shared, sizes = x.shape[:batch_dims], x.shape[batch_dims : batch_dims + depth]
    places = _readable(site, indices, torch.tensor(sizes), validate_indices)
    flat = _flat(places, sizes)
    if batch_dims:
        count = math.prod(shared)
        first = torch.arange(count).mul_(math.prod(sizes))
        flat = flat + first.reshape(shared + (1,) * (flat.dim() - batch_dims))
    rows = x.reshape(-1, math.prod(x.shape[batch_dims + depth :]))
    found = rows.index_select(0, flat.reshape(-1))
    return found.reshape(indices.shape[:-1] + x.shape[batch_dims + depth :])


@operator("scatter")
def scatter(
    site: Site,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """`data` with slices of `updates` put to the indices along an axis, as the mode says.

    The default mode is the one coremltools gives; its text says "update".
    """
    axis %= data.dim()
    places = _writable(site, indices, data.shape[axis], validate_indices)
    shape = (*data.shape[:axis], indices.numel(), *data.shape[axis + 1 :])
    places = places.reshape([-1] + [1] * (data.dim() - axis - 1))
    return _combined(data, axis, places.expand(shape), updates.reshape(shape), mode)


@operator("scatter_along_axis")
def scatter_along_axis(
    site: Site,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """`data` with each of `updates` put to its own index along an axis, as the mode says."""
    axis %= data.dim()
    places = _writable(site, indices, data.shape[axis], validate_indices)
    return _combined(data, axis, places, updates, mode)


@operator("scatter_nd")
def scatter_nd(
    site: Site,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """`data` with slices of `updates` put where the last axis of `indices` says, as the mode says."""
    depth = indices.shape[-1]
    sizes, rest = data.shape[:depth], data.shape[depth:]
    places = _writable(site, indices, torch.tensor(sizes), validate_indices)
    outside = (places == torch.tensor(sizes)).any(-1)
    flat = torch.where(outside, math.prod(sizes), _flat(places, sizes))
    rows = data.reshape(math.prod(sizes), math.prod(rest))
    shape = (flat.numel(), rows.shape[1])
    result = _combined(rows, 0, flat.reshape(-1, 1).expand(shape), updates.reshape(shape), mode)
    return result.reshape(data.shape)


def _readable(site: Site, indices: Tensor, size: int | Tensor, validate: bool) -> Tensor:
    """Indices as places from 0 to size - 1. Raises E509 for invalid ones if they are validated."""
    places = _counted(site, indices, size, validate)
    if validate or site.ios < _NEGATIVE_IS_OUT:
        return places
    if isinstance(size, int):
        return places.clamp(0, size - 1)
    return torch.minimum(places.clamp(min=0), size - 1)


def _writable(site: Site, indices: Tensor, size: int | Tensor, validate: bool) -> Tensor:
    """Indices as places from 0 to size, which stands for out of range. Raises E509 like `_readable`."""
    places = _counted(site, indices, size, validate)
    if site.ios < _NEGATIVE_IS_OUT:
        return places
    return torch.where((places < 0) | (places >= size), torch.as_tensor(size), places)


def _counted(site: Site, indices: Tensor, size: int | Tensor, validate: bool) -> Tensor:
    places = indices.long()
    if site.ios < _NEGATIVE_IS_OUT:
        places = torch.where(places < 0, places + size, places)
    if (validate or site.ios < _NEGATIVE_IS_OUT) and bool(((places < 0) | (places >= size)).any()):
        raise errors.failed(f"{site.name} has an index that is out of range")
    return places


def _flat(places: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Places along several axes, on the last axis, as places in these axes made one."""
    steps = [math.prod(sizes[at + 1 :]) for at in range(len(sizes))]
    return (places * torch.tensor(steps, dtype=torch.int64)).sum(-1)


def _combined(data: Tensor, axis: int, places: Tensor, updates: Tensor, mode: str) -> Tensor:
    """`data` with updates at places along an axis; the place beyond the last one takes what is left out."""
    size = data.shape[axis]
    if places.numel() and int(places.max()) == size:
        spare = data.narrow(axis, 0, 1)
        whole = _combined(torch.cat([data, spare], axis), axis, places, updates, mode)
        return whole.narrow(axis, 0, size)
    if mode == "update":
        return data.scatter(axis, places, updates)
    if mode in ("add", "sub"):
        return data.scatter_add(axis, places, updates if mode == "add" else -updates)
    if mode not in _REDUCTIONS:
        raise errors.unsupported(f"scatter mode {mode!r}")
    start = torch.ones_like(data) if mode == "div" else data
    found = start.scatter_reduce(axis, places, updates, _REDUCTIONS[mode])
    if mode == "div":
        whole = None if data.dtype.is_floating_point else "trunc"
        return torch.div(data, found, rounding_mode=whole)
    return found
