"""The same work, weights, rows, dtype and threads for this toolkit's trainers and for TRL's: seconds of a step in turn, and the losses.

    pip install trl && python benchmarks/training.py --rounds 7
    python benchmarks/training.py --memory          # peak memory of a step with a vocabulary of 152k, each in a process of its own

A step is the forward and the backward pass of one batch, as each trainer makes it of its own data; CPU seconds of the process, in float32 on one
thread, one after the other in every round. The optimiser is left out: it is torch's on both sides. Losses must agree to 1e-4 or the page ends
with 1. Left out: generation, GPUs, several processes.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from toolagent.train import dpo, pairs, reward, sft
from toolagent.train.encode import Row
from toolagent.train.pairs import Pair, families

Step = Callable[[], torch.Tensor]  # a batch's loss, with its graph
Texts = tuple[list[int], list[int]]  # tokens of a prompt and of an answer (without the end)


def tokenizer_of(size: int) -> Any:
    """A word a token: "w7 w9" -> [7, 9]; the end is 1, padding 0."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<end>": 1, "<unk>": 2} | {f"w{k}": k for k in range(3, size)}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<end>", unk_token="<unk>")


def config(args: argparse.Namespace) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=args.vocabulary, hidden_size=args.width, num_hidden_layers=args.layers, num_attention_heads=args.width // 64,
        num_key_value_heads=args.width // 64, intermediate_size=args.width * 5 // 2, max_position_embeddings=4096,
        tie_word_embeddings=False, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip


def model_of(args: argparse.Namespace, name: str = "LlamaForCausalLM", **more: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    settings = config(args)
    for key, value in more.items():
        setattr(settings, key, value)
    return getattr(transformers, name)(settings)


def words(tokens: list[int]) -> str:
    return " ".join(f"w{k}" for k in tokens)


def row(prompt: list[int], answer: list[int]) -> Row:
    return Row((*prompt, *answer, 1), bytes(len(prompt)) + bytes([1]) * (len(answer) + 1), "", "all")


def common(out: str, batch: int) -> dict[str, Any]:
    return {
        "output_dir": out, "per_device_train_batch_size": batch, "bf16": False, "use_cpu": True, "gradient_checkpointing": False,
        "max_length": None, "report_to": [], "disable_tqdm": True, "logging_steps": 1000, "dataloader_pin_memory": False,
        "dataset_num_proc": None,
    }  # fmt: skip


def theirs(trainer: Any) -> Step:
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    return lambda: trainer.compute_loss(trainer.model, dict(batch))  # type: ignore[no-any-return]


def supervised(args: argparse.Namespace, some: list[Texts], out: str) -> tuple[Step, Step, int]:
    """(ours, TRL's, tokens that are learned)."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model = model_of(args)
    rows = [row(p, a) for p, a in some]
    loss = sft.make_loss(True, 0.0)

    def ours() -> torch.Tensor:
        value, count = loss(model, rows)
        return value / count

    data = Dataset.from_list([{"prompt": words(p) + " ", "completion": words(a) + " "} for p, a in some])
    settings = SFTConfig(**common(out, len(some)), completion_only_loss=True)
    trainer = SFTTrainer(copy.deepcopy(model), settings, train_dataset=data, processing_class=tokenizer_of(args.vocabulary))
    return ours, theirs(trainer), sum(len(a) + 1 for _, a in some)


Three = tuple[list[int], list[int], list[int]]  # prompt, chosen, rejected


def preferred(args: argparse.Namespace, some: list[Three], out: str, cached: bool) -> tuple[Step, Step, int]:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    model = model_of(args)
    made = families([Pair(row(p, c), row(p, r)) for p, c, r in some], 8192)
    reference = dpo.referred(model, [made], True, pathlib.Path(out) / "reference.json", lambda s: None)
    with torch.no_grad():  # as it is some steps later
        for p in model.parameters():
            p.mul_(1.02)
    settings = dpo.Args()
    batches = pairs.batches(made, 8192, 64, random.Random(0))

    def ours() -> torch.Tensor:
        return torch.cat([dpo.measured(model, batch, settings, True, reference)[0] for batch in batches]).mean()

    data = Dataset.from_list([{"prompt": words(p) + " ", "chosen": words(c) + " ", "rejected": words(r) + " "} for p, c, r in some])
    config = DPOConfig(**common(out, len(some)), beta=settings.beta, precompute_ref_log_probs=cached)
    start, frozen = model_of(args), None if cached else model_of(args)
    trainer = DPOTrainer(start, frozen, args=config, train_dataset=data, processing_class=tokenizer_of(args.vocabulary))
    with torch.no_grad():
        for p in trainer.model.parameters():
            p.mul_(1.02)
    return ours, theirs(trainer), sum(len(c) + len(r) + 2 for _, c, r in some)


def scored(args: argparse.Namespace, some: list[Three], out: str) -> tuple[Step, Step, int]:
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    scorer = reward.Scorer(model_of(args), ("overall",))
    made = families([Pair(row(p, c), row(p, r)) for p, c, r in some], 8192)
    settings = reward.Args(centring=0.0)
    batches = pairs.batches(made, 8192, 64, random.Random(0))

    def ours() -> torch.Tensor:
        return torch.cat([reward.compared(scorer, batch, True, settings)[0] for batch in batches]).mean()

    judge = model_of(args, "LlamaForSequenceClassification", num_labels=1)
    judge.model.load_state_dict(scorer.policy.model.state_dict())
    judge.score.load_state_dict(scorer.score.state_dict())
    data = Dataset.from_list([{"chosen_ids": [*p, *c, 1], "rejected_ids": [*p, *r, 1]} for p, c, r in some])
    trainer = RewardTrainer(judge, args=RewardConfig(**common(out, len(some))), train_dataset=data, processing_class=tokenizer_of(args.vocabulary))
    return ours, theirs(trainer), sum(len(c) + len(r) + 2 for _, c, r in some)


def cases(args: argparse.Namespace, out: str) -> dict[str, Callable[[], tuple[Step, Step, int]]]:
    rng = random.Random(0)

    def some(n: int) -> list[int]:
        return [rng.randrange(3, args.vocabulary) for _ in range(n)]

    k = max(args.shorter, 1)
    tools = some(700 // k)
    answers = [(tools, some(80 // k)) for _ in range(16)]
    apart = [(some(400 // k), some(60 // k)) for _ in range(8)]
    two = [(some(448 // k), some(64 // k), some(64 // k)) for _ in range(4)]
    steps: list[Three] = []
    history = some(200 // k)
    for _ in range(8):
        steps.append((history, some(30 // k), some(30 // k)))
        history = history + steps[-1][1] + some(80 // k)
    return {
        "SFT, 16 answers of 80 to one prompt of 700": lambda: supervised(args, answers, out),
        "SFT, 8 rows of 400 + 60, nothing shared": lambda: supervised(args, apart, out),
        "DPO, 4 pairs of 448 + 64, reference cached": lambda: preferred(args, two, out, True),
        "DPO, 4 pairs of 448 + 64, TRL's default": lambda: preferred(args, two, out, False),
        "reward, 4 pairs of 448 + 64": lambda: scored(args, two, out),
        "DPO, 8 steps of one trajectory, reference cached": lambda: preferred(args, steps, out, True),
    }


def timed(step: Step) -> tuple[float, float]:
    started = time.process_time()
    loss = step()
    loss.backward()
    return time.process_time() - started, loss.item()


def compare(args: argparse.Namespace) -> bool:
    agreed = True
    with tempfile.TemporaryDirectory() as out:
        for name, make in cases(args, out).items():
            pathlib.Path(out, "reference.json").unlink(missing_ok=True)
            ours, trl, tokens = make()
            seconds: list[tuple[float, float]] = []
            for round_ in range(args.rounds + 1):  # the first one warms up
                (a, x), (b, y) = timed(ours), timed(trl)
                if round_:
                    seconds.append((a, b))
            agreed &= math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-5)
            ratios = sorted(b / a for a, b in seconds)
            print(json.dumps({
                "case": name, "ratio": round(statistics.median(ratios), 2), "least": round(ratios[0], 2), "most": round(ratios[-1], 2),
                "useful tokens/s": [round(tokens / statistics.median(t[k] for t in seconds)) for k in (0, 1)], "loss": [x, y],
            }), flush=True)  # fmt: skip
    return agreed


def peak(args: argparse.Namespace) -> None:
    """One step of SFT in this process: megabytes above what the weights and one gradient of them take."""
    rng = random.Random(0)
    some = [([rng.randrange(3, args.vocabulary) for _ in range(400)], [rng.randrange(3, args.vocabulary) for _ in range(60)]) for _ in range(8)]
    with tempfile.TemporaryDirectory() as out:
        ours, trl, _ = supervised(args, some, out)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        loss = (ours if args.side == "ours" else trl)()
        loss.backward()
        print(json.dumps({"side": args.side, "peak MB above what was there": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--shorter", type=int, default=1, help="all lengths divided by this, to try the page")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--side", choices=("ours", "trl"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.side:
        peak(args)
        return 0
    if args.memory:
        for side in ("ours", "trl"):
            words = [sys.executable, __file__, "--side", side, "--vocabulary", "152000", "--width", "128", "--layers", "2"]
            print(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip(), flush=True)
        return 0
    return 0 if compare(args) else 1


if __name__ == "__main__":
    sys.exit(main())
