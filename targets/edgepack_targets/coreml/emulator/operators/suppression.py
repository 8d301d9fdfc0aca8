"""Non-maximum suppression (coremltools, mil/ops/defs/iOS15/tensor_operation.py, iOS17 likewise)."""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator

_BOXES_LAST = 17
_MOST_BOXES = 2**24


@operator("non_maximum_suppression", moves=True)
def non_maximum_suppression(
    site: Site,
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_boxes: int,
    score_threshold: float | None = None,
    per_class_suppression: bool = False,
) -> tuple[Tensor, ...]:
    """The best boxes that overlap no better one by more than a threshold.

    boxes: (n, count, 4), each centre and size, x first. scores: (n, count, classes); a box has the class
    of its best score. per_class_suppression: only boxes of one class suppress each other. Gives boxes,
    scores and indices of `max_boxes` boxes, missing ones 0, 0 and -1, and up to iOS 16 how many there
    are. Up to iOS 16 boxes below score_threshold do not count, but the best one is given if none is left;
    since iOS 17 boxes stand on the last axis and there is no such threshold.
    """
    if not 0 <= max_boxes <= _MOST_BOXES:
        raise errors.failed(f"{max_boxes} boxes cannot be selected")
    last = site.ios >= _BOXES_LAST
    if last:
        boxes, scores = boxes.transpose(1, 2), scores.transpose(1, 2)
    kept = [
        _kept(one, of, iou_threshold, max_boxes, score_threshold, per_class_suppression)
        for one, of in zip(boxes, scores, strict=True)
    ]
    chosen_boxes = boxes.new_zeros(len(kept), max_boxes, 4)
    chosen_scores = scores.new_zeros(len(kept), max_boxes, scores.shape[2])
    indices = torch.full((len(kept), max_boxes), -1, dtype=torch.int32)
    for n, found in enumerate(kept):
        chosen_boxes[n, : len(found)] = boxes[n, found]
        chosen_scores[n, : len(found)] = scores[n, found]
        indices[n, : len(found)] = found.int()
    if last:
        return chosen_boxes.transpose(1, 2), chosen_scores.transpose(1, 2), indices
    return chosen_boxes, chosen_scores, indices, torch.tensor([len(f) for f in kept]).int()


def _kept(
    boxes: Tensor,
    scores: Tensor,
    most_overlap: float,
    most: int,
    least_score: float | None,
    by_class: bool,
) -> Tensor:
    """Indices of the boxes that stay, best first."""
    best, classes = scores.max(-1)
    order = best.argsort(descending=True, stable=True)
    if least_score is not None:
        order = order[best[order] >= least_score]
        if not len(order):
            return best.argmax().reshape(1)
    kept: list[Tensor] = []
    while len(order) and len(kept) < most:
        first, order = order[0], order[1:]
        kept.append(first)
        beaten = _overlaps(boxes[first], boxes[order]) > most_overlap
        if by_class:
            beaten &= classes[order] == classes[first]
        order = order[~beaten]
    return torch.stack(kept) if kept else order[:0]


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    """The area one box shares with each of others, in parts of the area both cover."""
    low = torch.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = torch.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (box[2:].prod() + others[:, 2:].prod(-1) - shared)
