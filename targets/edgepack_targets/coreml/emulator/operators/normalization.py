"""Normalizations (coremltools, mil/ops/defs/iOS15/normalization.py)."""
