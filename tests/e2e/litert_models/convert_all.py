"""Converts all small models, and makes artifacts that are not edgepack's. Argument: the folder to write into."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import litert_torch
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import quantizer
from ai_edge_quantizer import recipe as recipes
from torch import nn
from torch.nn import functional as F  # noqa: N812 the name PyTorch's own documentation gives it

from edgepack.errors import EdgepackError
from edgepack.wire import codec, tensors
from edgepack.wire.types import ConvertJob, Recipe, Signature, TensorSpec
from edgepack_targets import litert

out = Path(sys.argv[1])
torch.manual_seed(7)
x, ids = torch.randn(2, 4), torch.tensor([[1, 2, 7, 0], [3, 0, 5, 9]])
flags, pixels = torch.tensor([[True, False, True, False]] * 2), torch.arange(8, dtype=torch.uint8)


class Model(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.randn(4, 4))
        self.table = nn.Embedding(10, 4)
        self.register_buffer("c", torch.arange(3.0))

    def forward(self, *args):
        return self.function(self, *args)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return (x + self.calls,)


class Convolutions(nn.Module):
    """Batch normalization has left channel 1 of the first layer without weights: it is constant."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
        )
        self.point, self.last = nn.Conv2d(8, 64, 1), nn.Linear(64, 50)
        with torch.no_grad():
            self.first.weight[1] = 1e-9
            self.first.bias[1] = 0.7

    def forward(self, image):
        h = F.relu6(self.first(image))
        h = F.relu6(self.deep(h))
        return (self.last(self.point(h).mean((2, 3))),)


class Attention(nn.Module):
    """Padding is masked with -inf, which no range of 8 bits can hold."""

    def __init__(self):
        super().__init__()
        self.table, self.q, self.k, self.v = (
            nn.Embedding(10, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 16),
        )

    def forward(self, ids, mask):
        h = self.table(ids)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / 4
        scores = scores.masked_fill(~mask[:, None, :].bool(), float("-inf"))
        return (scores.softmax(-1) @ self.v(h), ids.reshape(-1) + 1)


def one(f):
    return Model(f).eval()


CASES = {
    "order": (
        one(lambda m, a, b, c: (c * 2, a + 1, b - 1)),
        (torch.randn(1), torch.randn(2), torch.randn(3)),
        ["z", "имя 图", "a/b:0"],
        ["out z", "B", 'a "quoted"'],
    ),
    "int64": (one(lambda m, i: (i + 1, m.table(i))), (ids,), ["ids"], ["next", "rows"]),
    "int64-out": (one(lambda m, x: ((x @ m.w).argmax(-1),)), (x,), ["x"], ["index"]),
    "bool": (
        one(lambda m, x, b: (x.masked_fill(b, 0.0), ~b)),
        (x, flags),
        ["x", "mask"],
        ["y", "not_mask"],
    ),
    "uint8": (one(lambda m, p: (p.float() / 255,)), (pixels,), ["pixels"], ["y"]),
    "float64": (one(lambda m, x: (x * 2,)), (x.double(),), ["x"], ["y"]),
    "unused": (
        one(lambda m, i, x, s: (x @ m.w,)),
        (ids, x, torch.tensor(2.0)),
        ["ids", "x", "scale"],
        ["y"],
    ),
    "shared": (
        one(lambda m, x, i, b, s: ((y := x @ m.w), x, y, i, b, s, s)),
        (x, ids, flags, torch.tensor(2.0)),
        ["x", "ids", "flags", "s"],
        ["y", "x", "y2", "ids", "b", "s1", "s2"],
    ),
    "constant": (one(lambda m, x: (x @ m.w, m.c, torch.ones(2))), (x,), ["x"], ["y", "c", "ones"]),
    "one-hot": (one(lambda m, i: (F.one_hot(i, 10).float(),)), (ids,), ["ids"], ["y"]),
    "state": (Counting().eval(), (x,), ["x"], ["y"]),
    "embedding-bag": (
        one(lambda m, i: (F.embedding_bag(i, m.w, torch.tensor([0])),)),
        (torch.tensor([1, 2, 3]),),
        ["i"],
        ["y"],
    ),
    "stft": (
        one(lambda m, a: (torch.stft(a, 16, return_complex=True).abs(),)),
        (torch.randn(64),),
        ["a"],
        ["y"],
    ),
    "sort": (one(lambda m, x: (torch.sort(x)[0],)), (x,), ["x"], ["y"]),
    "matmul64": (one(lambda m, x: (x @ x.t(),)), (x.double(),), ["x"], ["y"]),
    "misnamed": (one(lambda m, x: (x + 1,)), (x,), ["x", "other"], ["y"]),
    "convolutions": (Convolutions().eval(), (torch.randn(1, 3, 16, 16),), ["image"], ["scores"]),
    "attention": (
        Attention().eval(),
        (torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 1, 1, 0]])),
        ["ids", "mask"],
        ["h", "ids"],
    ),
    "no-weights": (one(lambda m, x: (x.abs().cos(),)), (x,), ["x"], ["y"]),
}
QUANTIZED = {"convolutions", "attention", "shared", "no-weights"}


def specs(names, values):
    return tuple(
        TensorSpec(name=n, dtype=str(v.dtype).removeprefix("torch."), shape=tuple(v.shape))
        for n, v in zip(names, values, strict=False)
    )


def inputs(args, seed):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(a.shape, generator=generator, dtype=a.dtype) if a.is_floating_point() else a
        for a in args
    )


def attempt(job):
    try:
        return {"artifact": codec.encode(litert.convert(job))}
    except EdgepackError as error:
        return {"code": error.code, "message": error.message, "why": error.why}


results = {}
os.chdir(out)
for name, (model, args, names, outputs) in CASES.items():
    with torch.no_grad():
        program = torch.export.export(model, args, strict=False)
        torch.export.save(program, out / f"{name}.pt2")
        cases = [inputs(args, seed) for seed in range(24)]
        made = [model(*case) for case in cases]
        tensors.save(out / f"{name}.in.npz", [[t.numpy() for t in c] for c in cases])
        tensors.save(out / f"{name}.ref.npz", [[t.numpy() for t in c] for c in made])
        signature = Signature(
            name="forward", inputs=specs(names, args), outputs=specs(outputs, made[0])
        )
    if name == "misnamed":
        signature = dataclasses.replace(signature, inputs=signature.inputs * 2)
    job = ConvertJob(
        model=str(out / f"{name}.pt2"),
        signature=signature,
        dimensions=(),
        recipe=Recipe(target="litert", precision="fp32"),
        base="",
        calibration="",
        stem=name,
        out=str(out),
    )
    results[name] = attempt(job)
    for precision in ("fp16", "int8") if name in QUANTIZED else ():
        recipe = Recipe(
            target="litert", precision=precision, options=(("float_operators", "auto"),)
        )
        derived = dataclasses.replace(
            job,
            recipe=recipe,
            base=str(out / f"{name}.tflite"),
            calibration=str(out / f"{name}.in.npz"),
            stem=f"{name}-{precision}",
        )
        results[f"{name}-{precision}"] = attempt(derived)
(out / "converted.json").write_text(json.dumps(results))

# Artifacts that edgepack did not make: int8 inputs and outputs without a signature, and a free axis.

maker = quantizer.Quantizer(str(out / "convolutions.tflite"), recipes.static_wi8_ai8())
cases = [{"image": case[0]} for case in tensors.load(out / "convolutions.in.npz")]
packed = maker.quantize(maker.calibrate({"forward": cases})).quantized_model
foreign = schema.ModelT.InitFromPackedBuf(packed, 0)
foreign.signatureDefs = []
(out / "foreign.tflite").write_bytes(flatbuffer_utils.convert_object_to_bytearray(foreign))

model = nn.Conv2d(3, 4, 3).eval()
batch = torch.export.Dim("batch", min=1, max=8)
made = litert_torch.convert(model, (torch.randn(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
made.export(str(out / "dynamic.tflite"))
cases = [torch.randn(n, 3, 8, 8) for n in (1, 5, 2)]
with torch.no_grad():
    tensors.save(out / "dynamic.ref.npz", [[model(c).numpy()] for c in cases])
tensors.save(out / "dynamic.in.npz", [[c.numpy()] for c in cases])
