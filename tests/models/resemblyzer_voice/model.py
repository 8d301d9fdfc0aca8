"""Resemblyzer's voice encoder as a plain module: a mel spectrogram becomes the voice it was spoken with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pathlib import Path


class VoiceEncoder(torch.nn.Module):
    """float32 [batch, 160, 40] mel power, 160 frames of 10 ms, to [batch, 256] of length 1.

    Source: Wan, Wang, Papir and Lopez Moreno, ICASSP 2018, arXiv:1710.10467.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 256, num_layers=3, batch_first=True)
        self.linear = torch.nn.Linear(256, 256)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """One embedding per spectrogram; the cosine of two says whether one person spoke."""
        _, (hidden, _) = self.lstm(mel)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / raw.norm(dim=1, keepdim=True)


def make_model(files: list[Path]) -> torch.nn.Module:
    """The encoder in eval mode. files: pretrained.pt, a checkpoint with its optimizer's state beside."""
    saved = torch.load(files[0], map_location="cpu", weights_only=True)["model_state"]
    model = VoiceEncoder()
    # The checkpoint also holds the scale and offset of the training loss.
    model.load_state_dict({name: saved[name] for name in model.state_dict()})
    return model.eval()
