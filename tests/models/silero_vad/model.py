"""Silero's voice detector as the voice sample has it, and once more with weights that are not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector import VoiceDetector, make_detector

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def make_model(files: list[Path]) -> torch.nn.Module:
    """The detector with the weights of silero_vad.jit, the first of `files`."""
    return make_detector(files)


def make_wrong_checkpoint(files: list[Path]) -> torch.nn.Module:
    """The detector with the weights of silero_vad_16k.safetensors, the second of `files`.

    The same package ships them and every shape fits, but they are another checkpoint: over the
    validation cases probabilities differ by up to 0.12 and c by up to 2.2. Parity must notice.
    """
    from safetensors.torch import load_file

    model = VoiceDetector()
    model.load_state_dict(load_file(files[1]))
    return model.eval()
