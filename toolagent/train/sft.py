"""Supervised fine-tuning on conversations, from scratch or from a given model.

    toolagent train sft --from-scratch --data data/desktop/train.jsonl --valid data/desktop/valid.jsonl --out runs/sft --minutes 60

JSONL conversations -> groups that show the same tools -> token loss on the assistant's words and its end of turn. The tools of a group are
computed once per batch and attended to by all its rows: on full-attention models without dropout; others run padded, and the run says so.
Left out: preference data (train/dpo.py), distillation.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import UsageError
from toolagent.train import rows as data
from toolagent.train.encode import Row, dialect_of, encoder_for
from toolagent.train.loop import FitArgs, fit
from toolagent.train.losses import token_nll


@dataclass
class Args(FitArgs):
    data: tuple[str, ...] = ()
    """training conversations (JSONL)"""
    valid: tuple[str, ...] = ()
    """validation conversations; their skeletons must not stand in the training data"""
    out: str = "runs/sft"
    model: str = ""
    """a model directory to start from"""
    from_scratch: bool = False
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    shape: models.Shape = field(default_factory=models.Shape)
    context: int = 2048
    request_weight: float = 0.1
    """weight of the request's own words in the loss (0: answers only)"""
    batch_tokens: int = 4096
    batch_rows: int = 48
    limit: int = 0
    """at most so many training rows (0: all)"""
    resume: bool = False


def forward(model: Any, rows: Sequence[Row], share: bool = True, request: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits at the positions that predict a learned token: (logits (N, V), targets (N,), kinds (N,) of 1 or, with `request`, 2).

    With `share`, the rows' common prefix (P tokens) goes through the model once; its keys and values are expanded, not copied, to all rows.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    device = next(model.parameters()).device
    shared = data.common_prefix(rows) if share and len(rows) > 1 else 0
    longest = max(len(r.ids) for r in rows)
    width = longest - shared
    ids = torch.zeros(len(rows), width, dtype=torch.long)  # (B, S); padding is behind the text, so a causal model never sees it
    kinds = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        n = len(row.ids) - shared
        ids[i, :n] = torch.tensor(row.ids[shared:])
        kinds[i, :n] = torch.tensor(list(row.learned[shared:]))
    ids, kinds = ids.to(device), kinds.to(device)
    if shared > 1:
        from transformers import DynamicCache

        prefix = torch.tensor([rows[0].ids[:shared]], device=device)
        layers = base.model(input_ids=prefix, use_cache=True).past_key_values.layers
        cache = DynamicCache([(c.keys.expand(len(rows), -1, -1, -1), c.values.expand(len(rows), -1, -1, -1)) for c in layers])
        mask = torch.ones(len(rows), longest, dtype=torch.long, device=device)
        positions = torch.arange(shared, longest, device=device)[None].expand(len(rows), -1)
        hidden = base.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True).last_hidden_state
    else:
        hidden = base.model(input_ids=torch.cat([torch.tensor([rows[0].ids[:shared]], device=device).expand(len(rows), -1).long(), ids], 1)).last_hidden_state
        hidden = hidden[:, shared:]
    wanted = kinds[:, 1:] > 0 if request else kinds[:, 1:] == 1  # position t predicts token t + 1
    return base.lm_head(hidden[:, :-1][wanted]), ids[:, 1:][wanted], kinds[:, 1:][wanted]


def make_loss(share: bool, request_weight: float) -> Callable[[Any, Sequence[Row]], tuple[torch.Tensor, torch.Tensor]]:
    def loss(model: Any, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        logits, targets, kinds = forward(model, rows, share, request_weight > 0)
        weights = torch.where(kinds == 1, 1.0, request_weight)
        return token_nll(logits, targets, weights), (kinds == 1).sum()

    return loss


def make_validate(groups: Sequence[Sequence[Row]], share: bool) -> Callable[[Any], dict[str, float]]:
    """Mean loss of the answers' tokens (nats), and the share of rows whose every answer token is the model's first choice."""

    def validate(model: Any) -> dict[str, float]:
        total, tokens, right, count = 0.0, 0, 0, 0
        for rows in groups:
            logits, targets, _ = forward(model, rows, share, request=False)
            total += token_nll(logits, targets).item()
            tokens += len(targets)
            hit = (logits.argmax(-1) == targets).tolist()
            at = 0
            for row in rows:
                n = row.learned.count(1)
                right += all(hit[at : at + n])
                at, count = at + n, count + 1
        return {"loss": total / max(tokens, 1), "exact": right / max(count, 1)}

    return validate


def main(args: Args, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json."""
    if args.from_scratch == bool(args.model):
        raise UsageError("give either --from-scratch or --model DIR")
    if not args.data:
        raise UsageError("give --data FILE.jsonl")
    out = pathlib.Path(args.out)
    files = [pathlib.Path(p) for p in args.data]
    resuming = args.resume and (out / "checkpoint.pt").exists()
    if args.from_scratch:
        tokenizer = models.load_tokenizer(out / "tokenizer") if resuming else models.train_tokenizer(tokenizer_texts(files), args.shape.vocabulary)
        dialect, model = "compact", models.make(args.shape, tokenizer, args.seed)
    else:
        model, tokenizer = models.load(args.model)
        dialect = dialect_of(args.model)
        if args.lora:
            model = models.with_lora(model, args.lora, 2 * args.lora)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out / "tokenizer")
    encode = encoder_for(tokenizer, dialect)
    train, report = data.read(files, encode, args.context, args.limit)
    say("training data: " + report.text())
    say(data.shown(train[0], tokenizer))
    share = models.full_attention(model)
    if not share:
        say("this model has sliding windows, recurrence or dropout: prefixes are not shared, rows run padded")
    validate = None
    if args.valid:
        held, held_report = data.read([pathlib.Path(p) for p in args.valid], encode, args.context)
        say("validation data: " + held_report.text())
        validate = make_validate(data.batches(held, args.batch_tokens, args.batch_rows, random.Random(0)), share)
    if torch.cuda.is_available():
        model = model.cuda()
    parameters = sum(p.numel() for p in model.parameters())
    say(f"{parameters / 1e6:.1f}M parameters, {len(train)} rows, {torch.get_num_threads()} threads")
    state = fit(
        model, lambda rng: data.batches(train, args.batch_tokens, args.batch_rows, rng), make_loss(share, args.request_weight), args, out,
        validate=validate, say=say, resume=args.resume,
    )  # fmt: skip
    models.save(model, tokenizer, out / "model", dialect)
    summary = {"args": asdict(args), "parameters": parameters, "steps": state.step, "rows": state.rows, "minutes": state.seconds / 60, "best": state.best}
    (out / "run.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    return summary


def tokenizer_texts(files: Sequence[pathlib.Path], rows: int = 30_000) -> list[str]:
    """What a tokenizer is trained on: the requests and answers of the first rows, each list of tools once."""
    from toolagent.dialects import compact
    from toolagent.types import Conversation

    texts: list[str] = []
    heads: set[str] = set()
    for path in files:
        with open(path, encoding="utf-8") as file:
            for line, _ in zip(file, range(rows), strict=False):
                conversation = Conversation.from_json(json.loads(line))
                head = compact.prefix(conversation.tools, " ".join(m.content for m in conversation.messages if m.role == "system"))
                if head not in heads:
                    heads.add(head)
                    texts.append(head)
                texts.append(compact.render(conversation)[len(head) :])
    return texts
