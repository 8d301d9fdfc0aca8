"""Factories and sample functions of all kinds, good and bad."""

from __future__ import annotations

from collections.abc import Iterator

import torch


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 5),
    ]
    return torch.nn.Sequential(*layers).eval()


def other_weights() -> torch.nn.Module:
    model = small()
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def raises() -> torch.nn.Module:
    raise ValueError("the checkpoint server is down")


def misses_a_package() -> torch.nn.Module:
    import package_that_nobody_has

    return package_that_nobody_has.model()


def returns_weights() -> dict[str, torch.Tensor]:
    return small().state_dict()


def in_training_mode() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))


def trains() -> torch.nn.Module:
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return model.eval()


def trains_with_gradients_on() -> torch.nn.Module:
    with torch.enable_grad():
        return trains()


def nan_weights() -> torch.nn.Module:
    model = small()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = float("nan")
    return model


class Logarithm(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x - 100)


def nan_outputs() -> torch.nn.Module:
    return Logarithm().eval()


class Eigen(torch.nn.Module):
    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvalsh(matrix)


def unknown_operator() -> torch.nn.Module:
    return Eigen().eval()


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        return x * self.calls


def keeps_state() -> torch.nn.Module:
    return Counter().eval()


class Words(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
        return x * 2, "done"


def returns_text() -> torch.nn.Module:
    return Words().eval()


class Branches(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def branches() -> torch.nn.Module:
    return Branches().eval()


def photos() -> Iterator[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        yield {"image": torch.rand((1, 3, 8, 8), generator=generator)}


def wrong_names() -> Iterator[dict[str, torch.Tensor]]:
    yield {"picture": torch.zeros(1, 3, 8, 8)}


def wrong_shapes() -> Iterator[torch.Tensor]:
    yield torch.zeros(1, 3, 9, 9)


def infinite_values() -> Iterator[torch.Tensor]:
    yield torch.full((1, 3, 8, 8), float("inf"))


def nothing() -> Iterator[torch.Tensor]:
    return iter(())
