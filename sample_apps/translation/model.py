"""The translator in two parts: an encoder that runs once, a decoder that makes one token per step.

A Transformer with normalization before each part and fixed sine positions. The encoder also makes
the keys and values that the decoder's attention to the source needs, since they are the same in
every step. The decoder takes and gives its own keys and values.
Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from tokens import LONGEST
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, WIDE = 192, 4, 640
ENCODER_LAYERS, DECODER_LAYERS = 4, 2
VOCABULARY = 6000
DROPOUT = 0.2
HIDDEN = -1e4
"""Added to the scores of what may not be seen; float16 holds it."""
WEIGHTS = Path(__file__).with_name("weights.safetensors")


class Source(NamedTuple):
    """What the decoder attends to, float32 [decoder layers, heads, 64, 48] each."""

    cross_keys: Tensor
    cross_values: Tensor


class Step(NamedTuple):
    """logits float32 [1, vocabulary]; keys, values float32 [decoder layers, heads, 64, 48]."""

    logits: Tensor
    keys: Tensor
    values: Tensor


class Block(nn.Module):
    """Attention to itself, attention to the source if it decodes, and a feed-forward network."""

    def __init__(self, *, decodes: bool) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.value, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm, self.last_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        if decodes:
            self.cross_query, self.cross_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.cross_norm = nn.LayerNorm(WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, WIDE), nn.Linear(WIDE, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    def attended(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """What its queries find at k, v, added to x."""
        return x + self.dropout(self.out(merged(attend(q, k, v, bias))))

    def heard(self, x: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """What x finds in the source, whose keys and values are k, v, added to it."""
        q = divided(self.cross_query(self.cross_norm(x)))
        return x + self.dropout(self.cross_out(merged(attend(q, k, v, bias))))

    def thought(self, x: Tensor) -> Tensor:
        """What the feed-forward network makes of x, added to it."""
        return x + self.dropout(self.narrow(functional.relu(self.wide(self.last_norm(x)))))


class Encoder(nn.Module):
    """tokens int64 [1, 64] and mask float32 [1, 64], 1 where a token is, 0 behind it, to `Source`."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions: Tensor
        self.register_buffer("positions", sines(LONGEST), persistent=False)
        self.blocks = nn.ModuleList(Block(decodes=False) for _ in range(ENCODER_LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        layers = range(DECODER_LAYERS)
        self.cross_keys = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in layers)
        self.cross_values = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in layers)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, tokens: Tensor, mask: Tensor) -> Source:
        """The source as the decoder wants it."""
        keys, values = self.read(tokens, mask)
        return Source(torch.cat(keys), torch.cat(values))

    def read(self, tokens: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values [batch, heads, length, 48] for each layer of the decoder.

        tokens int64 [batch, length], mask float32 [batch, length].
        """
        bias = hiding(mask)
        x = self.tokens(tokens) * math.sqrt(WIDTH) + self.positions[: tokens.shape[1]]
        x = self.dropout(x)
        for block in self.blocks:
            y = block.norm(x)
            q, k, v = divided(block.query(y)), divided(block.key(y)), divided(block.value(y))
            x = block.thought(block.attended(x, q, k, v, bias))
        x = self.norm(x)
        return (
            [divided(layer(x)) for layer in self.cross_keys],
            [divided(layer(x)) for layer in self.cross_values],
        )


class Decoder(nn.Module):
    """One step: the token at a position, and all keys and values so far, to the next logits."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions: Tensor
        self.register_buffer("positions", sines(LONGEST), persistent=False)
        self.blocks = nn.ModuleList(Block(decodes=True) for _ in range(DECODER_LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, token: Tensor, position: Tensor, keys: Tensor, values: Tensor,
        cross_keys: Tensor, cross_values: Tensor, mask: Tensor,
    ) -> Step:  # fmt: skip
        """From token and position int64 [1], mask float32 [1, 64], the rest as in the two tuples."""
        places = torch.arange(LONGEST)
        here = (places == position)[:, None]
        past = torch.where(places <= position, 0.0, HIDDEN)
        bias = hiding(mask)
        x = self.tokens(token) * math.sqrt(WIDTH)
        x = (x + functional.embedding(position, self.positions))[:, None]
        new_keys, new_values = [], []
        for number, block in enumerate(self.blocks):
            y = block.norm(x)
            k = torch.where(here, divided(block.key(y)), keys[number : number + 1])
            v = torch.where(here, divided(block.value(y)), values[number : number + 1])
            new_keys.append(k)
            new_values.append(v)
            x = block.attended(x, divided(block.query(y)), k, v, past)
            source = slice(number, number + 1)
            x = block.thought(block.heard(x, cross_keys[source], cross_values[source], bias))
        return Step(self.logits(self.norm(x)[:, 0]), torch.cat(new_keys), torch.cat(new_values))

    def follow(
        self, tokens: Tensor, keys: list[Tensor], values: list[Tensor], mask: Tensor
    ) -> Tensor:
        """States float32 [batch, length, width] behind every token at once, for `logits`.

        tokens int64 [batch, length]; keys, values and mask as `Encoder.read` gives and takes them.
        """
        length = tokens.shape[1]
        past = torch.full((length, length), HIDDEN).triu(1)
        bias = hiding(mask)
        x = self.tokens(tokens) * math.sqrt(WIDTH) + self.positions[:length]
        x = self.dropout(x)
        for block, k, v in zip(self.blocks, keys, values, strict=True):
            y = block.norm(x)
            ours = divided(block.query(y)), divided(block.key(y)), divided(block.value(y))
            x = block.thought(block.heard(block.attended(x, *ours, past), k, v, bias))
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        """What each token of the vocabulary scores, [..., vocabulary], for states [..., width]."""
        return functional.linear(states, self.tokens.weight)


class Translator(nn.Module):
    """Both parts with one table of tokens, for training and for search in batches."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.decoder.tokens = self.encoder.tokens
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)
            if name.endswith("tokens.weight"):
                nn.init.normal_(weight, 0, WIDTH**-0.5)


def sines(length: int) -> Tensor:
    """Positions as sines and cosines of falling frequency, float32 [length, width]."""
    rates = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def divided(x: Tensor) -> Tensor:
    """[batch, length, width] to [batch, heads, length, 48]."""
    return x.view(x.shape[0], -1, HEADS, WIDTH // HEADS).transpose(1, 2)


def merged(x: Tensor) -> Tensor:
    """The reverse of `divided`."""
    return x.transpose(1, 2).reshape(x.shape[0], -1, WIDTH)


def hiding(mask: Tensor) -> Tensor:
    """What to add to scores [batch, heads, queries, length] for a mask [batch, length]."""
    return ((1 - mask) * HIDDEN)[:, None, None]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention of each head; bias is added to the scores."""
    scores = q @ k.transpose(-1, -2) * (WIDTH / HEADS) ** -0.5
    return torch.softmax(scores + bias, -1) @ v


def make_translator(weights: Path = WEIGHTS) -> Translator:
    """The whole model in eval mode, in float32, from weights stored in float16."""
    stored = {name: tensor.float() for name, tensor in load_file(weights).items()}
    stored["decoder.tokens.weight"] = stored["encoder.tokens.weight"]
    model = Translator()
    model.load_state_dict(stored)
    return model.eval()


def make_encoder(files: list[Path]) -> nn.Module:
    """The encoder in eval mode. files: the weights first."""
    return make_translator(files[0]).encoder


def make_decoder(files: list[Path]) -> nn.Module:
    """The decoder in eval mode. files: the weights first."""
    return make_translator(files[0]).decoder
