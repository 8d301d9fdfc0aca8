"""Pools (coremltools, mil/ops/defs/iOS15/pool.py)."""
