"""Sizes and places of images (coremltools, mil/ops/defs/iOS15/image_resizing.py and later ones).

Images have height and width as their last two axes. A grid says for each value of the result where, in
values of the input, it is read; its modes are those of `resize_bilinear`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Ints, Site, Tensor, operator

_ALIGNED = {"STRICT_ALIGN_CORNERS": True, "UNALIGN_CORNERS": False}
"""Modes that are torch's own, with what it calls align_corners."""


@operator("upsample_nearest_neighbor", moves=True)
def upsample_nearest_neighbor(
    site: Site, x: Tensor, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0
) -> Tensor:
    """The image scaled, each value that of the input at floor(place · input size / output size)."""
    sizes = _scaled(site, x, scale_factor_height, scale_factor_width)
    return _nearest(x, sizes)


@operator("resize_nearest_neighbor", moves=True)
def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """The image in another size, as `upsample_nearest_neighbor` makes it."""
    return _nearest(x, (target_size_height, target_size_width))


@operator("upsample_bilinear")
def upsample_bilinear(
    site: Site,
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """The image scaled, between values linearly.

    half_pixel_centers (iOS 16): the opposite of align_corners if not said; if both are false, grids
    begin at the first value.
    """
    centers = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if centers else "DEFAULT"
    return _linear(x, _scaled(site, x, scale_factor_height, scale_factor_width), mode)


@operator("resize_bilinear")
def resize_bilinear(
    x: Tensor,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """The image in another size, between values linearly."""
    return _linear(x, (target_size_height, target_size_width), sampling_mode)


@operator("resize")
def resize(
    x: Tensor,
    shape: Ints,
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """`x` with its last axes in the last sizes of `shape`; 0 keeps a size.

    The nearest value is that at floor((place + 0.5) · input size / output size) in the mode DEFAULT, in
    others the one nearest to the grid, the lower of two.
    """
    first = x.dim() - resized_dims
    wanted = shape[len(shape) - resized_dims :]
    sizes = tuple(n or x.shape[first + at] for at, n in enumerate(wanted))
    if interpolation_mode == "LINEAR":
        return _linear(x, sizes, sampling_mode)
    if interpolation_mode != "NEAREST_NEIGHBOR":
        raise errors.unsupported(f"interpolation {interpolation_mode!r}")
    for axis, size in enumerate(sizes, first):
        if sampling_mode == "DEFAULT":
            places = (torch.arange(size) * 2 + 1) * x.shape[axis] // (2 * size)
        else:
            places = (_grid(x.shape[axis], size, sampling_mode) - 0.5).ceil().long()
        x = x.index_select(axis, places.clamp(0, x.shape[axis] - 1))
    return x


@operator("crop", moves=True)
def crop(x: Tensor, crop_height: Ints, crop_width: Ints) -> Tensor:
    """The image without so many rows above and below, columns left and right."""
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


@operator("crop_resize")
def crop_resize(
    site: Site, x: Tensor, roi: Tensor | None = None, boxes: Tensor | None = None,
    box_indices: Tensor | None = None, target_height: int = 1, target_width: int = 1,
    normalized_coordinates: bool = False, spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST", sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Tensor:  # fmt: skip
    """Boxes of images (b, c, h, w), each in the target size, between values linearly.

    Up to iOS 16 roi is (n, 1, 4 or 5, 1, 1): boxes, with the image's number first if there are 5 numbers;
    the result is (n, b or 1, c, …), of all images if no number is given. Since iOS 17 boxes are (n, 4),
    box_indices say of which image each is, and the result is (n, c, …). normalized_coordinates: 1 is the
    last value, not the size. Beyond the image all is pad_value (iOS 16), or the edge (iOS 15).
    """
    if roi is not None:
        boxes = roi.reshape(roi.shape[0], -1)
        if boxes.shape[1] == 5:  # noqa: PLR2004 an image's number and a box
            box_indices, boxes = boxes[:, 0], boxes[:, 1:]
    if boxes is None:
        raise errors.malformed("an operation 'crop_resize' has no boxes")
    corners = _corners(boxes.double(), box_coordinate_mode)
    if normalized_coordinates:
        corners = corners * torch.tensor([x.shape[2] - 1, x.shape[3] - 1] * 2)
    corners = corners * spatial_scale
    rows = _box_grid(corners[:, 0], corners[:, 2], target_height, sampling_mode)
    columns = _box_grid(corners[:, 1], corners[:, 3], target_width, sampling_mode)
    outside = pad_value if site.ios >= 16 else None  # noqa: PLR2004 iOS 16
    if roi is not None and box_indices is None:
        every = [
            _sampled(x, torch.full((len(boxes),), n), rows, columns, outside)
            for n in range(x.shape[0])
        ]
        return torch.stack(every, 1)
    images = torch.arange(len(boxes)) if box_indices is None else box_indices.long()
    found = _sampled(x, images, rows, columns, outside)
    return found if roi is None else found.unsqueeze(1)


@operator("resample")
def resample(
    x: Tensor, coordinates: Tensor, sampling_mode: str, padding_mode: str, padding_value: float,
    coordinates_mode: str, align_corners: bool,
) -> Tensor:  # fmt: skip
    """Images (b, c, h, w) read at coordinates (b, h, w, 2), x before y.

    coordinates_mode: "unnormalized" (values), "normalized_minus_one_to_one" or
    "normalized_zero_to_one", whose ends are the outer values' centres if align_corners, else their outer
    edges. padding_mode: "constant", "border", "reflection" at the outer values' centres, "symmetric" at
    their edges.
    """
    if padding_mode not in _PADDINGS:
        raise errors.unsupported(f"padding {padding_mode!r} of resample")
    padding, centred = _PADDINGS[padding_mode]
    centred = align_corners if centred is None else centred
    grid = coordinates.float()
    if coordinates_mode == "normalized_zero_to_one":
        grid = grid * 2 - 1
    elif coordinates_mode not in ("unnormalized", "normalized_minus_one_to_one"):
        raise errors.unsupported(f"coordinates {coordinates_mode!r}")
    sizes = torch.tensor([x.shape[3], x.shape[2]])
    if coordinates_mode == "unnormalized":
        grid = _normalized(grid, sizes, centred)
    elif centred != align_corners:
        shown = (grid + 1) * (sizes - 1) / 2 if align_corners else ((grid + 1) * sizes - 1) / 2
        grid = _normalized(shown, sizes, centred)
    found = functional.grid_sample(x, grid, sampling_mode, padding, centred)
    if padding_mode == "constant" and padding_value != 0:
        inside = torch.ones_like(x[:, :1])
        inside = functional.grid_sample(inside, grid, sampling_mode, padding, centred)
        found = found + (1 - inside) * padding_value
    return found


@operator("affine")
def affine(
    x: Tensor, transform_matrix: Tensor, output_height: int, output_width: int,
    sampling_mode: str = "bilinear", padding_mode: str = "constant", padding_value: float = 0.0,
    coordinates_mode: str = "normalized_minus_one_to_one", align_corners: bool = True,
) -> Tensor:  # fmt: skip
    """Images (b, c, h, w) read where a matrix (b or 1, 6) sends the place of each value, from -1 to 1."""
    matrices = transform_matrix.reshape(-1, 2, 3).expand(x.shape[0], 2, 3)
    size = [x.shape[0], x.shape[1], output_height, output_width]
    grid = functional.affine_grid(matrices, size, align_corners)
    return resample(
        x, grid, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners
    )


_PADDINGS: dict[str, tuple[str, bool | None]] = {
    "constant": ("zeros", None),
    "border": ("border", None),
    "reflection": ("reflection", True),
    "symmetric": ("reflection", False),
}
"""torch's name, and whether its coordinates have to be of the outer values' centres."""


def _normalized(places: Tensor, sizes: Tensor, centred: bool) -> Tensor:
    """Places in values as coordinates from -1 to 1."""
    if centred:
        return 2 * places / (sizes - 1).clamp(min=1) - 1
    return (2 * places + 1) / sizes - 1


def _scaled(site: Site, x: Tensor, height: float, width: float) -> tuple[int, int]:
    """Sizes times factors, rounded down in single precision, or as the program declares them."""
    declared = site.outputs[0].shape or (None, None)
    found = [
        int(np.floor(np.float32(factor) * np.float32(size))) if known is None else known
        for factor, size, known in zip((height, width), x.shape[-2:], declared[-2:], strict=True)
    ]
    return found[0], found[1]


def _nearest(x: Tensor, sizes: tuple[int, int]) -> Tensor:
    height, width = x.shape[-2:]
    if height and width and sizes[0] % height == 0 and sizes[1] % width == 0:
        wide = x.reshape(*x.shape[:-2], height, 1, width, 1)
        wide = wide.expand(*x.shape[:-2], height, sizes[0] // height, width, sizes[1] // width)
        return wide.reshape(*x.shape[:-2], *sizes)
    for axis, size in enumerate(sizes, x.dim() - 2):
        x = x.index_select(axis, torch.arange(size) * x.shape[axis] // size)
    return x


def _linear(x: Tensor, sizes: tuple[int, ...], mode: str) -> Tensor:
    """The last axes in other sizes, one after the other; in one go where torch has the mode."""
    first = x.dim() - len(sizes)
    if mode in _ALIGNED and len(sizes) == 2 and x.numel() and x.dtype.is_floating_point:  # noqa: PLR2004
        images = x.reshape(1, -1, *x.shape[-2:])
        found = functional.interpolate(images, sizes, mode="bilinear", align_corners=_ALIGNED[mode])
        return found.reshape(*x.shape[:-2], *sizes)
    for axis, size in enumerate(sizes, first):
        if size == x.shape[axis] and mode != "OFFSET_CORNERS":
            continue
        grid = _grid(x.shape[axis], size, mode)
        low = grid.floor().long()
        part = (grid - low).float().reshape([-1] + [1] * (x.dim() - axis - 1))
        above = (low + 1).clamp(max=x.shape[axis] - 1)
        x = torch.lerp(x.index_select(axis, low).float(), x.index_select(axis, above).float(), part)
    return x


def _grid(size: int, count: int, mode: str) -> Tensor:
    """(count): places from 0 to size - 1, in float64."""
    steps = torch.arange(count, dtype=torch.float64)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return steps + ((size - 1) / 2 if mode == "ALIGN_CORNERS" else 0)
        grid = steps * ((size - 1) / (count - 1))
    elif mode == "DEFAULT":
        grid = steps * (size / count)
    elif mode == "OFFSET_CORNERS":
        grid = (steps + 0.5) * (max(1, size - 1) / count)
    elif mode == "UNALIGN_CORNERS":
        grid = (steps + 0.5) * (size / count) - 0.5
    else:
        raise errors.unsupported(f"sampling mode {mode!r}")
    return grid.clamp(0, size - 1)


def _corners(boxes: Tensor, mode: str) -> Tensor:
    """Boxes (n, 4) as top, left, bottom, right."""
    if mode.endswith("WIDTH_FIRST"):
        boxes = boxes[:, [1, 0, 3, 2]]
    if mode.startswith("CENTER_SIZE"):
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        boxes = torch.cat([centre - half, centre + half], 1)
    return boxes


def _box_grid(first: Tensor, last: Tensor, count: int, mode: str) -> Tensor:
    """(n, count): places along boxes from `first` to `last`, which are values the boxes have."""
    steps = torch.arange(count, dtype=torch.float64)
    first, reach = first.unsqueeze(1), (last - first).unsqueeze(1)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return first + (reach / 2 if mode == "ALIGN_CORNERS" else 0)
        return first + steps * (reach / (count - 1))
    if mode == "DEFAULT":
        return first + steps * ((reach + 1) / count)
    if mode == "OFFSET_CORNERS":
        return first + (steps + 0.5) * (reach / count)
    if mode == "UNALIGN_CORNERS":
        return first + (steps + 0.5) * ((reach + 1) / count) - 0.5
    raise errors.unsupported(f"sampling mode {mode!r}")


def _sampled(
    x: Tensor, images: Tensor, rows: Tensor, columns: Tensor, outside: float | None
) -> Tensor:
    """(n, c, rows, columns): the images at the crossings of rows and columns, each linearly.

    outside: the value beyond an image; None takes its edge.
    """
    height, width = x.shape[2:]
    y, across = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    top, left = y.floor().long(), across.floor().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down = (y - top).float()[:, None, :, None]
    over = (across - left).float()[:, None, None, :]
    image = images[:, None, None]

    def at(row: Tensor, column: Tensor) -> Tensor:
        return x[image, :, row[:, :, None], column[:, None, :]].movedim(-1, 1)

    upper = torch.lerp(at(top, left), at(top, right), over)
    lower = torch.lerp(at(bottom, left), at(bottom, right), over)
    found = torch.lerp(upper, lower, down)
    if outside is None:
        return found
    seen = ((rows == y)[:, :, None] & (columns == across)[:, None, :]).unsqueeze(1)
    return torch.where(seen, found, outside)
