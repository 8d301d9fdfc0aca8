"""Trains the translator on one CPU thread; stops and goes on at any checkpoint.

    python training.py WORK            reads WORK/{train,dev}.tsv and tokenizer.model

WORK/checkpoint.pt holds all that a run needs to go on; the same command takes it up. The weights
that count are the running average of the trained ones; they become weights.safetensors when the
run ends, or with --save at any checkpoint. Every random choice comes from SEED and the number of
the epoch or the step, so a run that was stopped sees the same batches as one that was not.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece
import torch
from augment import Fillers, varied
from model import WEIGHTS, Translator
from pairs import Pair, load
from safetensors.torch import save_file
from tokens import END, LANGUAGE_IDS, LONGEST, PAD, START, pieces
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 7
BATCH_TOKENS = 4096
"""Of source and target of one batch, with padding."""
WARMUP, PEAK = 1500, 2e-3
SMOOTHING = 0.1
KEEP = 0.9995
"""Of the averaged weights at each step, once there are enough steps to average."""
SAMPLED, ALPHA = 0.5, 0.3
"""Share of the strings that are cut into pieces at random, and how even the odds are."""
SAVE_SECONDS = 480

log = logging.getLogger("training")


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of a source, from language to end, and of a translation, from start to end."""

    source: list[int]
    target: list[int]


@dataclass(slots=True)
class Run:
    """The state of a training run."""

    model: Translator
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0


def start(folder: Path) -> Run:
    """A new run, or the one that the folder holds."""
    torch.manual_seed(SEED)
    model = Translator()
    weights = [weight for weight in model.parameters() if weight.dim() > 1]
    others = [weight for weight in model.parameters() if weight.dim() == 1]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98))
    run = Run(model, {n: p.detach().clone() for n, p in model.named_parameters()}, optimizer)
    path = folder / "checkpoint.pt"
    if path.exists():
        held: dict[str, Any] = torch.load(path, weights_only=True)
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
        run.average = held["average"]
        run.step, run.epoch, run.batch = held["step"], held["epoch"], held["batch"]
        run.seconds = held["seconds"]
        log.info("going on at step %d, epoch %d, batch %d", run.step, run.epoch, run.batch)
    return run


def save(run: Run, folder: Path) -> None:
    """Puts the run's state in place of the last one, in one rename."""
    state = {
        "model": run.model.state_dict(), "optimizer": run.optimizer.state_dict(),
        "average": run.average, "step": run.step, "epoch": run.epoch, "batch": run.batch,
        "seconds": run.seconds,
    }  # fmt: skip
    aside = folder / "checkpoint.new"
    torch.save(state, aside)
    aside.replace(folder / "checkpoint.pt")


def encoded(pairs: list[tuple[str, str, str]], seed: int | None = None) -> list[Example]:
    """Language, English and translation as tokens, without those that are too long.

    seed: half the strings are cut at random; None: each the likeliest way.
    """

    def cut(texts: list[str]) -> list[list[int]]:
        plain: list[list[int]] = pieces().encode(texts)
        if seed is None:
            return plain
        drawn = pieces().encode(
            texts, enable_sampling=True, alpha=ALPHA, nbest_size=-1, num_threads=1
        )
        return [d if dice.random() < SAMPLED else p for d, p in zip(drawn, plain, strict=True)]

    dice = random.Random(seed)  # noqa: S311
    if seed is not None:
        sentencepiece.set_random_generator_seed(seed)
    sources, targets = cut([pair[1] for pair in pairs]), cut([pair[2] for pair in pairs])
    examples = [
        Example([LANGUAGE_IDS[pair[0]], *source, END], [START, *target, END])
        for pair, source, target in zip(pairs, sources, targets, strict=True)
    ]
    return [e for e in examples if max(len(e.source), len(e.target) - 1) <= LONGEST]


def batches(examples: list[Example], seed: int) -> list[list[Example]]:
    """Examples of like length together, at most BATCH_TOKENS a batch, in random order."""
    dice = random.Random(seed)  # noqa: S311
    dice.shuffle(examples)
    examples.sort(key=lambda e: len(e.source) + len(e.target) + 2 * dice.random())
    made: list[list[Example]] = [[]]
    longest = 0
    for example in examples:
        longest = max(longest, len(example.source) + len(example.target))
        if longest * (len(made[-1]) + 1) > BATCH_TOKENS:
            made.append([])
            longest = len(example.source) + len(example.target)
        made[-1].append(example)
    dice.shuffle(made)
    return made


def tensors(batch: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Sources int64, their mask float32 and targets int64, each [batch, its longest]."""
    source = padded([example.source for example in batch])
    return source, (source != PAD).float(), padded([example.target for example in batch])


def padded(rows: list[list[int]]) -> Tensor:
    """Rows of tokens as one tensor, filled up with PAD."""
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


class CrossEntropy(torch.autograd.Function):
    """Cross entropy with label smoothing, summed; a third of PyTorch's own time for it on a CPU.

    logits [n, vocabulary], wanted int64 [n]. The scores' buffer becomes their gradient.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, wanted: Tensor, smoothing: float) -> Tensor:
        """Nats, a float32 scalar."""
        scores = logits.float()
        total = scores.logsumexp(1)
        ctx.save_for_backward(scores, total, wanted)
        ctx.smoothing, ctx.dtype = smoothing, logits.dtype
        own = scores.gather(1, wanted[:, None])[:, 0]
        return (total - (1 - smoothing) * own - smoothing * scores.mean(1)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Probabilities less what was wanted."""
        scores, total, wanted = ctx.saved_tensors
        less = scores.sub_(total[:, None]).exp_().sub_(ctx.smoothing / scores.shape[1])
        less[torch.arange(len(wanted)), wanted] -= 1 - ctx.smoothing
        return less.mul_(gradients[0]).to(ctx.dtype), None, None


def loss_of(model: Translator, batch: list[Example], smoothing: float) -> tuple[Tensor, int]:
    """Cross entropy in nats, summed over the tokens of the translations, and their number."""
    source, mask, target = tensors(batch)
    wanted = target[:, 1:]
    real = wanted != PAD
    with torch.autocast("cpu", torch.bfloat16):
        read = model.encoder.read(source, mask)
        logits = model.decoder.logits(model.decoder.follow(target[:, :-1], *read, mask)[real])
    loss: Tensor = CrossEntropy.apply(logits, wanted[real], smoothing)
    return loss, int(real.sum())


def rate(step: int, steps: int) -> float:
    """The learning rate: a straight way up, then half a cosine down to a fiftieth."""
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    done = min(1.0, (step - WARMUP) / max(1, steps - WARMUP))
    return PEAK * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def learn(run: Run, batch: list[Example], steps: int) -> float:
    """One step; the loss per token."""
    torch.manual_seed(SEED * 1_000_003 + run.step)
    for group in run.optimizer.param_groups:
        group["lr"] = rate(run.step, steps)
    loss, count = loss_of(run.model.train(), batch, SMOOTHING)
    run.optimizer.zero_grad()
    (loss / count).backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.step += 1
    keep = min(KEEP, run.step / (run.step + 10))
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            run.average[name].lerp_(weight, 1 - keep)
    return loss.item() / count


def averaged(run: Run) -> Translator:
    """A model with the averaged weights, in eval mode."""
    model = Translator()
    state = dict(run.average)
    state["decoder.tokens.weight"] = state["encoder.tokens.weight"]
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def held_out(model: Translator, examples: list[Example]) -> float:
    """Cross entropy in nats per token on strings that training does not see."""
    found = [loss_of(model, batch, 0.0) for batch in batches(list(examples), 0)]
    return sum(loss.item() for loss, _ in found) / sum(count for _, count in found)


def epochs(run: Run, pairs: list[Pair], last: int) -> Iterator[tuple[list[Example], int]]:
    """Every batch that is left of the run, and how many steps the whole run has, about."""
    fillers = Fillers(pairs)
    while run.epoch < last:
        seed = SEED * 1000 + run.epoch
        examples = encoded(varied(pairs, fillers, seed), seed)
        made = batches(examples, seed)
        while run.batch < len(made):
            batch = made[run.batch]
            run.batch += 1
            yield batch, len(made) * last
        run.epoch, run.batch = run.epoch + 1, 0


def train(folder: Path, last: int) -> Run:
    """The run when all its epochs are done."""
    dev = [(p.language, p.english, p.text) for p in load(folder / "dev.tsv")]
    held = encoded(dev)
    run = start(folder)
    log.info("%d weights, %d held-out strings", sum(p.numel() for p in run.model.parameters()),
             len(held))  # fmt: skip
    losses: list[float] = []
    began = saved = time.monotonic()
    before, tokens = run.seconds, 0
    for batch, steps in epochs(run, load(folder / "train.tsv"), last):
        losses.append(learn(run, batch, steps))
        tokens += sum(len(e.source) + len(e.target) for e in batch)
        now = time.monotonic()
        run.seconds = before + now - began
        if now - saved > SAVE_SECONDS:
            save(run, folder)
            saved = time.monotonic()
            log.info("epoch %d step %d of %d lr %.2e loss %.3f held-out %.4f minutes %.1f tokens/s %d",
                     run.epoch, run.step, steps, rate(run.step, steps), sum(losses) / len(losses),
                     held_out(averaged(run), held), run.seconds / 60,
                     tokens / (now - began))  # fmt: skip
            losses.clear()
    save(run, folder)
    log.info("held-out %.4f", held_out(averaged(run), held))
    return run


def store(run: Run, path: Path) -> None:
    """The averaged weights in float16."""
    save_file({name: weight.half().contiguous() for name, weight in run.average.items()}, path)
    log.info("step %d: %s, %d bytes", run.step, path.name, path.stat().st_size)


def main() -> None:
    """Trains, or only stores the weights of the last checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="Trains the translator.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument(
        "--save", action="store_true", help="store the checkpoint's weights, no more"
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    run = start(given.work) if given.save else train(given.work, given.epochs)
    store(run, given.weights)


if __name__ == "__main__":
    main()
