"""Source models: loading, export, reference runs and sample functions, in the user's Python."""

from __future__ import annotations

from edgepack.wire.types import EnvironmentSpec

ENVIRONMENT = EnvironmentSpec(
    name="torch",
    python=">=3.11,<3.14",
    requirements=("torch==2.13.0", "numpy>=2.0,<2.5", "safetensors>=0.5"),
    lock="lock.txt",
    probe=("torch",),
    # Exported programs were seen to load both ways between these versions.
    accepts=("torch>=2.9,<2.14", "numpy>=1.26"),
)
"""Used for .pt2 and TorchScript files, and for factories that need nothing else."""
