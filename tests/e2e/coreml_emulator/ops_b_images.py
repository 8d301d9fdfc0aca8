"""Cases of image_resizing, with formulas from the texts: a grid of places, read value by value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import Case, floats

IMAGES = floats(2, 3, 4, 6)
MODES = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")
BOXES = np.float32(
    [[0.4, 1.2, 2.6, 4.1], [1.5, 0.0, 3.0, 5.0], [2.0, 4.0, 0.5, 1.5], [-1.0, -2.0, 2.0, 9.0]]
)


def grid(size: int, count: int, mode: str) -> list[float]:
    """The places of resize_bilinear's text."""
    places = []
    for i in range(count):
        if mode == "ALIGN_CORNERS" and count == 1:
            place = (size - 1) / 2
        elif mode.endswith("ALIGN_CORNERS") and not mode.startswith("UN"):
            place = i * (size - 1) / (count - 1) if count > 1 else 0.0
        elif mode == "DEFAULT":
            place = i * (size - size / count) / (count - 1) if count > 1 else 0.0
        elif mode == "OFFSET_CORNERS":
            place = 0.5 * max(1, size - 1) / count + i * max(1, size - 1) / count
        else:
            place = (i + 0.5) * size / count - 0.5
        places.append(min(size - 1, max(0.0, place)))
    return places


def between(image: np.ndarray, y: float, x: float) -> Any:
    """image (…, h, w) at a place inside it."""
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, image.shape[-2] - 1), min(left + 1, image.shape[-1] - 1)
    upper = image[..., top, left] * (1 - (x - left)) + image[..., top, right] * (x - left)
    lower = image[..., bottom, left] * (1 - (x - left)) + image[..., bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def resized(x: np.ndarray, height: int, width: int, mode: str) -> np.ndarray:
    rows, columns = grid(x.shape[-2], height, mode), grid(x.shape[-1], width, mode)
    return np.stack([np.stack([between(x, r, c) for c in columns], -1) for r in rows], -2)


def nearest(x: np.ndarray, height: int, width: int, shift: float) -> np.ndarray:
    rows = [math.floor((i + shift) * x.shape[-2] / height) for i in range(height)]
    columns = [math.floor((i + shift) * x.shape[-1] / width) for i in range(width)]
    return x[..., rows, :][..., columns]


def nearest_to(x: np.ndarray, height: int, width: int, mode: str) -> np.ndarray:
    rows = [math.ceil(p - 0.5) for p in grid(x.shape[-2], height, mode)]
    columns = [math.ceil(p - 0.5) for p in grid(x.shape[-1], width, mode)]
    return x[..., rows, :][..., columns]


def box_places(first: float, last: float, count: int, mode: str) -> list[float]:
    """The places of a box: those of a line of last - first + 1 values, from its first."""
    reach = last - first
    if mode.endswith("ALIGN_CORNERS") and not mode.startswith("UN"):
        if count == 1:
            return [(first + last) / 2 if mode == "ALIGN_CORNERS" else first]
        return [first + i * reach / (count - 1) for i in range(count)]
    if mode == "OFFSET_CORNERS":
        return [first + (i + 0.5) * reach / count for i in range(count)]
    shift = 0.5 * (reach + 1) / count - 0.5 if mode == "UNALIGN_CORNERS" else 0.0
    return [first + i * (reach + 1) / count + shift for i in range(count)]


def cropped(
    image: np.ndarray, box: Any, size: tuple[int, int], mode: str, outside: float | None
) -> np.ndarray:
    """image (c, h, w); box: top, left, bottom, right."""
    last = np.array(image.shape[1:]) - 1
    result = np.zeros((image.shape[0], *size))
    for r, y in enumerate(box_places(box[0], box[2], size[0], mode)):
        for c, x in enumerate(box_places(box[1], box[3], size[1], mode)):
            inside = 0 <= y <= last[0] and 0 <= x <= last[1]
            if inside or outside is None:
                result[:, r, c] = between(image, min(max(y, 0), last[0]), min(max(x, 0), last[1]))
            else:
                result[:, r, c] = outside
    return result


def reflected(place: int, size: int, edge: bool) -> int:
    """A place beyond 0 … size - 1 reflected at the outer values' edges or centres."""
    while not 0 <= place < size:
        low, high = (-1, 2 * size - 1) if edge else (0, 2 * size - 2)
        place = low - place if place < 0 else high - place
    return place


def read(x: np.ndarray, places: np.ndarray, how: str, padding: str, value: float) -> np.ndarray:
    """x (b, c, h, w) at places (b, h, w, 2) in values, by the padded image of resample's text."""
    height, width = x.shape[2:]
    result = np.zeros((*x.shape[:2], *places.shape[1:3]))

    def at(b: int, r: int, c: int) -> Any:
        if padding == "constant":
            return (
                x[b, :, r, c] if 0 <= r < height and 0 <= c < width else np.full(x.shape[1], value)
            )
        if padding == "border":
            return x[b, :, min(max(r, 0), height - 1), min(max(c, 0), width - 1)]
        edge = padding == "symmetric"
        return x[b, :, reflected(r, height, edge), reflected(c, width, edge)]

    for b, r, c in np.ndindex(*places.shape[:3]):
        across, down = places[b, r, c].astype(np.float64)
        if how == "nearest":
            result[b, :, r, c] = at(b, round(down), round(across))
            continue
        top, left = math.floor(down), math.floor(across)
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            part = abs(1 - i - (down - top)) * abs(1 - j - (across - left))
            result[b, :, r, c] += part * at(b, top + i, left + j)
    return result


def in_values(grid: np.ndarray, mode: str, align: bool, sizes: tuple[int, int]) -> np.ndarray:
    if mode == "unnormalized":
        return grid
    unit = (
        grid.astype(np.float64)
        if mode.endswith("zero_to_one")
        else (grid.astype(np.float64) + 1) / 2
    )
    ends = np.array(sizes[::-1])
    return unit * (ends - 1) if align else unit * ends - 0.5


def resample(
    padding: str, mode: str, align: bool, how: str = "bilinear", value: float = 0.0
) -> Case:
    places = np.random.default_rng(5).uniform(-0.3, 1.3, (2, 3, 5, 2))
    places = {"unnormalized": places * (5, 3), "normalized_zero_to_one": places}.get(
        mode, places * 2 - 1
    )
    return Case(
        f"resample {padding} {mode} {align} {how} {value}",
        lambda x, g: mb.resample(x=x, coordinates=g, sampling_mode=how, padding_mode=padding,
        padding_value=np.float32(value),
                                 coordinates_mode=mode, align_corners=align),
        (IMAGES, places.astype(np.float32)),
        lambda x, g: read(x, in_values(g, mode, align, x.shape[2:]), how, padding, value),
        tolerance=1e-5,
    )  # fmt: skip


def crop_resize(
    mode: str, boxes: str = "CORNERS_HEIGHT_FIRST", scale: float = 1.0, unit: bool = False
) -> list[Case]:
    order = [1, 0, 3, 2] if boxes.endswith("WIDTH_FIRST") else [0, 1, 2, 3]
    corners = BOXES.astype(np.float64)
    given = corners
    if boxes.startswith("CENTER"):
        given = np.concatenate(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1
        )
    given = given / scale / (np.array([3, 5, 3, 5]) if unit else 1)
    given = given[:, order].astype(np.float32)
    size = (3, 2)
    settings: dict[str, Any] = {
        "target_height": 3, "target_width": 2, "sampling_mode": mode, "box_coordinate_mode": boxes,
        "spatial_scale": np.float32(scale), "normalized_coordinates": unit,
    }  # fmt: skip
    which = [1, 0, 1, 1]
    # coremltools declares a result of all images here too, which is right for one image.
    numbered = np.concatenate([np.zeros((4, 1), np.float32), given], 1).reshape(4, 1, 5, 1, 1)

    def formula(outside: float | None) -> Any:
        return lambda x, *_: np.stack(
            [cropped(x[n], b, size, mode, outside) for n, b in zip(which, corners, strict=True)]
        )

    def of_all(x: np.ndarray, _: Any) -> Any:
        return np.stack(
            [np.stack([cropped(one, b, size, mode, None) for one in x]) for b in corners]
        )

    label = f"crop_resize {mode} {boxes} {scale} {unit}"
    return [
        Case(f"{label} of all", lambda x, r: mb.crop_resize(x=x, roi=r, **settings),
             (IMAGES, given.reshape(4, 1, 4, 1, 1)), of_all,
             until=15, tolerance=1e-5),
        Case(label, lambda x, r: mb.crop_resize(x=x, roi=r, pad_value=np.float32(2.5), **settings),
             (IMAGES[:1], numbered),
             lambda x, _: np.stack([cropped(x[0], b, size, mode, 2.5) for b in corners])[:, None],
             since=16, until=16, tolerance=1e-5),
        Case(label, lambda x, b: mb.crop_resize(x=x, boxes=b, box_indices=np.int32(which),
             pad_value=np.float32(2.5), **settings),
             (IMAGES, given), formula(2.5), since=17, tolerance=1e-5),
    ]  # fmt: skip


IMAGE_RESIZING = [
    Case("upsample_nearest_neighbor",
         lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         (IMAGES,), lambda x: nearest(x, 8, 18, 0)),
    Case("upsample_nearest_neighbor in parts",
         lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=np.float32(1.5),
         scale_factor_width=np.float32(0.5)),
         (IMAGES,), lambda x: nearest(x, 6, 3, 0)),
    Case("resize_nearest_neighbor",
         lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=7, target_size_width=4),
         (IMAGES[0],), lambda x: nearest(x, 7, 4, 0)),
    Case("upsample_bilinear", lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2,
         scale_factor_width=3), (IMAGES,),
         lambda x: resized(x, 8, 18, "ALIGN_CORNERS"), tolerance=1e-5),
    Case("upsample_bilinear by edges",
         lambda x: mb.upsample_bilinear(x=x, scale_factor_height=np.float32(2.5),
         scale_factor_width=np.float32(0.5), align_corners=False),
         (IMAGES,), lambda x: resized(x, 10, 3, "UNALIGN_CORNERS"), tolerance=1e-5),
    Case("upsample_bilinear from the first",
         lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2,
         align_corners=False, half_pixel_centers=False),
         (IMAGES,), lambda x: resized(x, 8, 12, "DEFAULT"), since=16, tolerance=1e-5),
    *[Case(f"resize_bilinear {mode} {h} {w}",
           lambda x, m=mode, h=h, w=w: mb.resize_bilinear(x=x, target_size_height=h,
           target_size_width=w, sampling_mode=m), (IMAGES,),
           lambda x, m=mode, h=h, w=w: resized(x, h, w, m), tolerance=1e-5) for mode in MODES for h,
           w in ((7, 3), (1, 6), (4, 1))],
    *[Case(f"resize {mode}", lambda x, m=mode: mb.resize(x=x, shape=[9, 0, 5],
           resized_dims=np.uint32(2), sampling_mode=m), (IMAGES,),
           lambda x, m=mode: resized(x, 4, 5, m), since=17, tolerance=1e-5) for mode in MODES],
    *[Case(f"resize nearest {mode}",
           lambda x, m=mode: mb.resize(x=x, shape=[7, 4], resized_dims=np.uint32(2),
           interpolation_mode="NEAREST_NEIGHBOR", sampling_mode=m),
           (IMAGES,), lambda x, m=mode: nearest(x, 7, 4, 0.5) if m == "DEFAULT" else nearest_to(x,
           7, 4, m), since=17) for mode in MODES],
    Case("crop", lambda x: mb.crop(x=x, crop_height=[1, 0], crop_width=[2, 1]), (IMAGES,),
         lambda x: x[..., 1:, 2:-1]),
    *[case for mode in MODES for case in crop_resize(mode)],
    *crop_resize("ALIGN_CORNERS", "CORNERS_WIDTH_FIRST", scale=0.5),
    *crop_resize("DEFAULT", "CENTER_SIZE_HEIGHT_FIRST", unit=True),
    *crop_resize("OFFSET_CORNERS", "CENTER_SIZE_WIDTH_FIRST"),
    *[resample(padding, mode, align) for padding in ("constant", "border", "reflection",
    "symmetric")
      for mode in ("unnormalized", "normalized_minus_one_to_one",
      "normalized_zero_to_one") for align in (True, False)],
    resample("constant", "unnormalized", True, value=1.5),
    resample("border", "normalized_minus_one_to_one", False, how="nearest"),
    Case("affine",
         lambda x, t: mb.affine(x=x, transform_matrix=t, output_height=3, output_width=4,
         sampling_mode="bilinear", padding_mode="constant",
                                padding_value=np.float32(0),
                                coordinates_mode="normalized_minus_one_to_one", align_corners=True),
         (IMAGES, np.float32([[0.8, 0.3, 0.1, -0.2, 0.9, 0.2]])),
         lambda x, t: read(x,
         in_values(np.stack(2 * [[[(t[0, 0] * u + t[0, 1] * v + t[0, 2],
         t[0, 3] * u + t[0, 4] * v + t[0, 5])
                                                        for u in np.linspace(-1, 1,
                                                        4)] for v in np.linspace(-1, 1, 3)]]),
                                        "normalized_minus_one_to_one", True, x.shape[2:]),
                                        "bilinear", "constant", 0.0), tolerance=1e-5),
]  # fmt: skip
