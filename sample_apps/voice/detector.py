"""Silero's voice detector for 16 kHz as a plain module whose state is an input and an output."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812 the name PyTorch's own documentation gives it

IN_SCRIPT = {
    "stft_conv.": "stft.forward_basis_buffer",
    "conv1.": "encoder.0.reparam_conv.",
    "conv2.": "encoder.1.reparam_conv.",
    "conv3.": "encoder.2.reparam_conv.",
    "conv4.": "encoder.3.reparam_conv.",
    "lstm_cell.": "decoder.rnn.",
    "final_conv.": "decoder.decoder.2.",
}
"""Where each layer's weights lie in silero_vad.jit, below `_model.`."""


class VoiceDetector(torch.nn.Module):
    """One step of 32 ms: 512 new samples behind the 64 before them, and the state of the last step.

    x float32 [batch, 576] in -1 to 1; h and c float32 [batch, 128], zeros at the start.
    Gives the probability of speech [batch, 1] and the next h and c.
    Source: Silero Team, https://github.com/snakers4/silero-vad, version 6.2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = torch.nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = torch.nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = torch.nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = torch.nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = torch.nn.LSTMCell(128, 128)
        self.final_conv = torch.nn.Conv1d(128, 1, 1)

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(probability, hn, cn)."""
        parts = self.stft_conv(F.pad(x[:, None], (0, 64), mode="reflect"))
        features = torch.sqrt(parts[:, :129] ** 2 + parts[:, 129:] ** 2)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = torch.relu(layer(features))
        hn, cn = self.lstm_cell(features.squeeze(-1), (h, c))
        score = self.final_conv(torch.relu(hn)[:, :, None]).squeeze(-1)
        return torch.sigmoid(score), hn, cn


def make_detector(files: list[Path]) -> torch.nn.Module:
    """The detector in eval mode with the weights of silero_vad.jit.

    files: that file first; none for the one of the installed package.
    """
    saved = torch.jit.load(str(files[0] if files else installed()), map_location="cpu").state_dict()
    model = VoiceDetector()
    model.load_state_dict({name: saved[in_script(name)] for name in model.state_dict()})
    return model.eval()


def installed() -> Path:
    """silero_vad.jit of the package silero-vad, which is not imported. Raises FileNotFoundError."""
    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise FileNotFoundError("silero-vad is not installed")
    return Path(package.origin).parent / "data" / "silero_vad.jit"


def in_script(name: str) -> str:
    """The name in silero_vad.jit of one of this module's weights."""
    layer = name[: name.index(".") + 1]
    inside = IN_SCRIPT[layer]
    return f"_model.{inside}{name.removeprefix(layer) if inside.endswith('.') else ''}"
