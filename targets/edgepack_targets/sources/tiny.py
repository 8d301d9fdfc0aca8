"""The model that `edgepack doctor` takes through every target: 4 channels of 6 by 6, then 5 numbers."""

from __future__ import annotations

import torch


def make() -> torch.nn.Module:
    """The model in eval mode: float32 [1, 3, 8, 8] in, [1, 5] out."""
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 5),
    ]
    return torch.nn.Sequential(*layers).eval()
