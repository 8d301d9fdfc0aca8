"""Attention (coremltools, mil/ops/defs/iOS18/transformers.py)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.linear import multiplied
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator


@operator("scaled_dot_product_attention")
def scaled_dot_product_attention(
    site: Site, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    """softmax(query · keyᵀ / √e + mask) · value.

    query: (…, l, e); key: (…, s, e); value: (…, s, v). mask: broadcast to (…, l, s); false, like −∞, bars a
    place. A row all of whose places are barred is 0 / 0: no number, where torch says 0.
    """
    if site.in_half:
        return _attended_in_half(query, key, value, attn_mask)
    if attn_mask is None:
        return functional.scaled_dot_product_attention(query, key, value)
    mask = attn_mask if attn_mask.dim() > 1 else attn_mask.unsqueeze(0)
    found = functional.scaled_dot_product_attention(query, key, value, mask)
    barred = ~mask if mask.dtype is torch.bool else mask == -math.inf
    empty = barred.all(-1, keepdim=True)
    return found.masked_fill(empty, math.nan) if bool(empty.any()) else found


def _attended_in_half(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    scores = multiplied(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1])
    if mask is not None:
        barred = mask.dtype is torch.bool
        scores = scores.masked_fill(~mask, -math.inf) if barred else scores + mask
    return multiplied(torch.softmax(scores, -1), value)
