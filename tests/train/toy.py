"""A model of a few weights, and a run of it that can be killed: python toy.py OUT KILL_AT_LOSS KILL_AT_SAVE

It ends itself with SIGKILL at the n-th loss (in the middle of a step) or half-way through the n-th file that it saves (0: never), goes on
from OUT/checkpoint.pt where there is one, and leaves OUT/final.pt.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import sys

import torch

from toolagent.train import checkpoint
from toolagent.train.encode import Row
from toolagent.train.loop import FitArgs, fit
from toolagent.train.rows import batches

ARGS = FitArgs(
    optimizer="muon", lr=0.02, rows_per_step=8, epochs=3.3, warmup=4, valid_every=6, checkpoint_every=4, seed=5, threads=1,
)  # fmt: skip


class Toy(torch.nn.Module):
    """Predicts a token from the one before it; with dropout, so that the random state counts."""

    def __init__(self, seed: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = torch.nn.Embedding(40, 8)
        self.inner = torch.nn.Linear(8, 8)
        self.dropout = torch.nn.Dropout(dropout)
        self.lm_head = torch.nn.Linear(8, 40, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm_head(self.dropout(torch.tanh(self.inner(self.embed(ids)))))


def rows_of(n: int = 60, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    made = []
    for i in range(n):
        ids = tuple(rng.randrange(40) for _ in range(rng.randrange(4, 12)))
        made.append(Row(ids, bytes([0, 0] + [1] * (len(ids) - 2)), f"row {i}", f"group {i % 3}"))
    return made


def loss_of(model: Toy, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed over the learned tokens of each row, and their number."""
    total, count = torch.zeros(()), 0
    for row in rows:
        logits = model(torch.tensor(row.ids[:-1]))
        learned = torch.tensor(list(row.learned[1:])) == 1
        total = total + torch.nn.functional.cross_entropy(logits[learned], torch.tensor(row.ids[1:])[learned], reduction="sum")
        count += int(learned.sum())
    return total, torch.tensor(count)


def batches_of(rows: list[Row], budget: int = 40):
    return lambda rng: batches(rows, budget, 6, rng)


def validate_of(rows: list[Row]):
    def validate(model: Toy) -> dict[str, float]:
        total, count = loss_of(model, rows)
        return {"loss": total.item() / int(count)}

    return validate


def main(out: pathlib.Path, at_loss: int, at_save: int) -> None:
    calls = {"loss": 0, "save": 0}

    def loss(model, rows):
        calls["loss"] += 1
        if calls["loss"] == at_loss:
            os.kill(os.getpid(), signal.SIGKILL)
        return loss_of(model, rows)

    def save(value, path):
        calls["save"] += 1
        whole_save(value, path)
        if calls["save"] == at_save:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    whole_save = torch.save
    checkpoint.torch.save = save
    model = Toy()
    state = fit(model, batches_of(rows_of()), loss, ARGS, out, validate=validate_of(rows_of(9, seed=1)), say=lambda s: None, resume=True)
    checkpoint.torch.save = whole_save
    torch.save({"weights": model.state_dict(), "step": state.step, "best": state.best, "rows": state.rows}, out / "final.pt")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
