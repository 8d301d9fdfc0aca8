"""all-MiniLM-L6-v2, which turns a sentence into a vector, from a checkpoint on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

if TYPE_CHECKING:
    from pathlib import Path


class SentenceEncoder(torch.nn.Module):
    """BERT, the mean over the words of a sentence, and length 1.

    input_ids and attention_mask int64 [batch, sequence], 1 in the mask where a token is; gives
    float32 [batch, 384].
    Source: Reimers and Gurevych, EMNLP 2019, arXiv:1908.10084.
    """

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """One embedding per sentence."""
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask[:, :, None].to(tokens.dtype)
        mean = (tokens * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def make_model(files: list[Path]) -> torch.nn.Module:
    """The encoder in eval mode. files: config.json and model.safetensors."""
    config, weights = files
    bert = BertModel(BertConfig.from_json_file(config), add_pooling_layer=False)
    own = bert.state_dict()
    # The checkpoint also holds the pooler, which sentence embeddings do not use.
    bert.load_state_dict({name: t for name, t in load_file(weights).items() if name in own})
    return SentenceEncoder(bert).eval()
