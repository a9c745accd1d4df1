"""A reward model: a score of an answer, or several of them by name, learned from preferences (Bradley-Terry; Ouyang et al. 2022, section 3.5).

    toolagent train reward --model runs/sft/model --data data/pairs/train.jsonl --valid data/pairs/valid.jsonl --out runs/reward --epochs 1
    scorer = load("runs/reward/model");  scores(scorer, rows, {"helpfulness": 1.0, "harmlessness": 0.5})

The score is a linear map of the last layer's state at the answer's last token (its end of turn, found by its place and never by its id, so a
padding token that is the end of turn does no harm). A row of {"meta": {"objective": "helpfulness"}} teaches that score alone; others "overall".
Left out: process rewards (a score a step: train/qvalue.py), ties.
"""

from __future__ import annotations

import json
import math
import pathlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import NoModel, UsageError
from toolagent.train import pairs as data
from toolagent.train import processes, trie
from toolagent.train.encode import Row
from toolagent.train.loop import finish, fit, settled
from toolagent.train.pairs import Family, PairArgs, trees_of
from toolagent.train.preferences import bradley_terry


@dataclass
class Args(PairArgs):
    out: str = "runs/reward"
    margins: bool = False
    """the margin of a pair is the least by which its scores are to differ"""
    centring: float = 0.01
    """weight of the square of a pair's summed scores: holds their zero"""


class Scorer(torch.nn.Module):
    """A decoder and K scores by name. The head's weights begin normal with deviation 1 / sqrt(H + 1) (Stiennon et al. 2020)."""

    def __init__(self, policy: Any, objectives: Sequence[str]) -> None:
        super().__init__()
        width = trie.unwrapped(policy).get_output_embeddings().in_features
        self.policy, self.objectives = policy, tuple(objectives)
        self.score = torch.nn.Linear(width, len(self.objectives), bias=False)
        torch.nn.init.normal_(self.score.weight, std=1 / math.sqrt(width + 1))

    def forward(self, trees: Sequence[trie.Tree], share: bool) -> torch.Tensor:
        """The scores of the trees' sequences in turn: (N, K) in float32."""
        batch = trie.batch_of(self, trees, (), share)
        ends = trie.states(self.policy, batch)[batch.lasts]  # (N, H)
        found: torch.Tensor = self.score(ends.to(self.score.weight.dtype)).float()
        return found


def scores(scorer: Scorer, rows: Sequence[Row], weights: Mapping[str, float]) -> torch.Tensor:
    """The weighted sum of the named scores of each row, (N,). Raises UsageError for a name that the scorer does not have."""
    if unknown := sorted(set(weights) - set(scorer.objectives)):
        raise UsageError(f"the reward model has no score {unknown[0]!r}; it has {', '.join(scorer.objectives)}")
    share = models.full_attention(scorer.policy)
    weight = torch.tensor([weights.get(name, 0.0) for name in scorer.objectives], device=scorer.score.weight.device)
    with torch.no_grad():
        return scorer([trie.flat(rows)] if share else trie.chains(rows), share) @ weight


def save(scorer: Scorer, tokenizer: Any, path: pathlib.Path, dialect: str) -> None:
    def also(folder: pathlib.Path) -> None:
        (folder / "reward.json").write_text(json.dumps({"objectives": scorer.objectives}) + "\n", "utf-8")
        torch.save(scorer.score.state_dict(), folder / "reward_head.pt")

    models.save(scorer.policy, tokenizer, path, dialect, also)


def load(path: str | pathlib.Path) -> tuple[Scorer, Any, str]:
    """(scorer, tokenizer, dialect) of a directory that `train reward` wrote. Raises NoModel."""
    folder = pathlib.Path(path)
    if not (folder / "reward.json").exists():
        raise NoModel(f"{folder} holds no reward model (no reward.json); `toolagent train reward` writes one")
    policy, tokenizer = models.load(folder)
    try:
        scorer = Scorer(policy, json.loads((folder / "reward.json").read_text("utf-8"))["objectives"])
        scorer.score.load_state_dict(torch.load(folder / "reward_head.pt", weights_only=True))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise NoModel(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    return scorer.eval(), tokenizer, models.dialect_of(folder)


def compared(scorer: Scorer, some: Sequence[Family], share: bool, args: Args) -> tuple[torch.Tensor, torch.Tensor]:
    """(losses (N,), chosen less rejected (N,)) of the families' pairs, each by its own objective."""
    pairs = [pair for family in some for pair in family.pairs]
    found = scorer(trees_of(some, share), share).view(len(pairs), 2, -1)  # (N, 2, K)
    mine = torch.tensor([scorer.objectives.index(pair.objective) for pair in pairs], device=found.device)
    chosen, rejected = found[torch.arange(len(pairs), device=found.device), :, mine].unbind(1)
    margins = torch.tensor([pair.margin for pair in pairs], device=found.device) if args.margins else None
    return bradley_terry(chosen, rejected, margins, args.centring), (chosen - rejected).detach()


def main(args: Args, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json."""
    with processes.started(args.processes, work, args, processes.quiet):
        return work(args, say)


def work(args: Args, say: Callable[[str], None]) -> dict[str, Any]:
    args = settled(args, False, args.lora > 0)
    out = pathlib.Path(args.out)
    found = data.prepare(args, out, say)
    share = found.share
    objectives = sorted({pair.objective for pair in found.train})
    train = data.families(found.train, args.batch_tokens)
    held = data.families([pair for pair in found.held if pair.objective in objectives], args.batch_tokens)
    say(f"{len(found.train)} pairs in {len(train)} families; scores: {', '.join(objectives)}")
    torch.manual_seed(args.seed)
    scorer = Scorer(found.model, objectives)
    if torch.cuda.is_available():
        scorer = scorer.cuda()

    def batched(some: Sequence[Family], rng: random.Random) -> list[list[Family]]:
        return data.batches(some, args.batch_tokens, args.batch_rows, rng)

    groups = batched(held, random.Random(0))

    def loss(model: Scorer, some: Sequence[Family]) -> tuple[torch.Tensor, torch.Tensor]:
        losses, _ = compared(model, some, share, args)
        return losses.sum(), torch.tensor(len(losses))

    def validate(model: Scorer) -> dict[str, float]:
        total, right = 0.0, defaultdict[str, list[float]](list)
        for some in groups:
            losses, differences = compared(model, some, share, args)
            total += losses.sum().item()
            for pair, difference in zip((p for family in some for p in family.pairs), differences.tolist(), strict=True):
                right[pair.objective].append(float(difference > 0))
        every = [hit for hits in right.values() for hit in hits]
        named = {f"accuracy {name}": sum(hits) / len(hits) for name, hits in sorted(right.items())} if len(right) > 1 else {}
        return {"loss": total / len(every), "accuracy": sum(every) / len(every), **named}

    state = fit(scorer, lambda rng: batched(train, rng), loss, args, out, validate=validate if groups else None, say=say, resume=args.resume)
    parameters = sum(p.numel() for p in scorer.parameters())
    more = {"objectives": objectives, "pairs": len(found.train)}
    return finish(args, state, parameters, lambda to: save(scorer, found.tokenizer, to, found.dialect), **more)
