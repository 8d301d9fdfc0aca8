"""Tiny models that every target must convert, each with something that is easy to lose on the way."""

from __future__ import annotations

from collections.abc import Iterator

import torch


class Convolution(torch.nn.Module):
    """The usual: convolution, batch normalisation, activation, pooling, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU6(),
            # coremltools leaves weights of fewer than 2,048 numbers as they are.
            torch.nn.Conv2d(16, 24, 3, padding=1), torch.nn.BatchNorm2d(24), torch.nn.ReLU6(),
        )  # fmt: skip
        self.head = torch.nn.Linear(24, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(image).mean((2, 3)))


class ManyInputs(torch.nn.Module):
    """Three inputs and three outputs whose names do not sort in their order, one of them integer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 6)
        self.linear = torch.nn.Linear(6, 6)

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, bias: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        hidden = self.linear(self.table(tokens)) * mask.unsqueeze(-1) + bias
        scores = hidden.softmax(-1)
        return {"zeta": scores, "alpha": hidden.sum(1), "best": scores.argmax(-1)}


def make_convolution() -> torch.nn.Module:
    torch.manual_seed(1)
    model = Convolution()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 1.5)
    return model.eval()


def make_many_inputs() -> torch.nn.Module:
    torch.manual_seed(2)
    return ManyInputs().eval()


def images() -> Iterator[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    for _ in range(8):
        yield {"image": torch.rand((1, 3, 8, 8), generator=generator)}
