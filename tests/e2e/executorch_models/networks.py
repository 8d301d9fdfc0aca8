"""The small models, their inputs, and what is converted of them."""

import torch
from torch import nn
from torch.export import Dim
from torch.nn import functional as F  # noqa: N812 the name PyTorch's own documentation gives it

torch.manual_seed(7)


class Model(nn.Module):
    """A function of tensors and of layers."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)
        self.scale = nn.Parameter(torch.randn(4, 4))

    def forward(self, *args):
        out = self.function(self, *args)
        return out if isinstance(out, tuple) else (out,)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return (x + self.calls,)


class Net(nn.Module):
    """Convolutions with batch norms and relu6; `loud` gives the norms variances beyond half."""

    def __init__(self, loud=False):
        super().__init__()
        self.stem, self.n0 = nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.deep, self.n1 = nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16)
        self.point, self.n2 = nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16)
        self.wide, self.last = nn.Conv2d(16, 128, 1), nn.Linear(128, 64)
        for norm in (self.n0, self.n1, self.n2):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.running_mean, 0, 0.2)
            nn.init.uniform_(norm.running_var, 0.2, 1)
        if loud:
            self.stem.weight.data.mul_(3000)
            self.n0.running_var.mul_(9e6)
            self.n0.running_mean.mul_(3000)

    def forward(self, x):
        x = F.relu6(self.n0(self.stem(x)))
        x = x + self.n2(self.point(F.relu6(self.n1(self.deep(x)))))
        return (self.last(F.relu6(self.wide(x)).mean((2, 3))),)


def attend(model, x, mask):
    q, k, v = (layer(x).view(1, -1, 2, 8).transpose(1, 2) for layer in model.layers[:3])
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
    return F.layer_norm(out.transpose(1, 2).reshape(1, -1, 16), (16,), eps=1e-12)


def attend_by_hand(model, x, mask):
    q, k = model.layers[0](x), model.layers[1](x)
    lowest = (1 - mask.float())[:, None, :] * torch.finfo(torch.float32).min
    return torch.softmax(q @ k.transpose(1, 2) / 4 + lowest, -1) @ model.layers[2](x) * 1e-6 / 1e-6


def branch(model, x):
    return torch.cond(
        x.sum() > 0,
        lambda x: model.layers[0](x) + 1,
        lambda x: torch.tanh(model.layers[1](x)),
        (x,),
    )


def image(*size):
    """Smooth, as photos are."""
    x = torch.randn(1, 3, size[0] // 4, size[1] // 4)
    return F.interpolate(x, scale_factor=4, mode="bilinear")


def linear(n):
    return [nn.Linear(16, 16) for _ in range(n)]


def x(*shape):
    return torch.randn(*shape)


def states(n):
    return torch.zeros(n, 1, 6)


def words(n):
    return torch.randint(0, 50, (1, n))


length = Dim("length", min=2, max=40)
mask = torch.arange(12)[None] < 9
nobody = torch.zeros(1, 12, dtype=torch.bool)

# name: module, cases, symbolic axes by input
SMALL = {
    "dtypes": (
        Model(lambda m, a, i, b: (i + 1, (a @ m.scale).index_select(1, i), b & (a[:, 0] > 0))),
        [(x(3, 4), torch.tensor([2, 0, 1]), torch.tensor([True, False, True])) for _ in range(3)],
        None,
    ),
    "dynamic": (
        Model(
            lambda m, i: m.layers[1](m.layers[0](i)).relu().cumsum(1),
            nn.Embedding(500, 16),
            nn.Linear(16, 16),
        ),
        [(words(5),), (words(40),), (words(2),)],
        ({1: length},),
    ),
    "lstm": (
        Model(
            lambda m, a: m.layers[0](a)[0], nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True)
        ),
        [(x(1, 60, 5),) for _ in range(3)],
        None,
    ),
    "gru": (
        Model(lambda m, a, h: m.layers[0](a, h), nn.GRU(5, 6, 2)),
        [(x(30, 1, 5), states(2) + 0.3) for _ in range(3)],
        None,
    ),
    "rnn": (
        Model(
            lambda m, a: (m.layers[0](a)[0], m.layers[1](a)[1]),
            nn.RNN(5, 6),
            nn.RNN(5, 6, nonlinearity="relu"),
        ),
        [(x(20, 2, 5),)],
        None,
    ),
    "step": (
        Model(lambda m, a, h: m.layers[0](a, (h, h))[0], nn.LSTM(5, 6)),
        [(x(1, 1, 5), states(1)) for _ in range(3)],
        None,
    ),
    "cell": (
        Model(lambda m, a, h: m.layers[0](a, (h[0], h[0])), nn.LSTMCell(5, 6)),
        [(x(1, 5), states(1)) for _ in range(3)],
        None,
    ),
    "net": (Net(), [(image(32, 32),) for _ in range(8)], None),
    "loud": (Net(loud=True), [(image(32, 32),) for _ in range(8)], None),
    "attention": (Model(attend, *linear(3)), [(x(1, 12, 16), mask), (x(1, 12, 16), nobody)], None),
    "by-hand": (Model(attend_by_hand, *linear(3)), [(x(1, 12, 16), mask)], None),
    "branch": (Model(branch, *linear(2)), [(x(2, 16) + 1,), (x(2, 16) - 1,)], None),
    "sorting": (Model(lambda m, a: torch.sort(a, 1)[0]), [(x(2, 8),)], None),
    "bag": (Model(lambda m, i: m.layers[0](i), nn.EmbeddingBag(50, 8)), [(words(8),)], None),
    "nonzero": (Model(lambda m, a: torch.nonzero(a > 0)), [(x(3, 4),)], None),
    "state": (Counting(), [(x(3),)], None),
    "plain": (Model(lambda m, a: a.cumsum(0)), [(x(3),)], None),
}
JOBS = {
    **{name: (name, "fp32", "xnnpack") for name in SMALL},
    "portable": ("net", "fp32", "portable"),
    **{
        f"{name}-fp16": (name, "fp16", "xnnpack")
        for name in (
            "dtypes",
            "dynamic",
            "lstm",
            "gru",
            "cell",
            "net",
            "loud",
            "attention",
            "by-hand",
            "plain",
        )
    },
    **{f"{name}-int8": (name, "int8", "xnnpack") for name in ("net", "plain", "dynamic")},
    "portable-int8": ("net", "int8", "portable"),
}
