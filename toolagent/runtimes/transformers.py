"""A model directory on torch: slow and large beside llama.cpp, for a model in the making, or where llama.cpp does not compile.

    toolagent run "text Ana that lunch moved" --runtime transformers --model runs/sft/model

A model of the compact dialect writes its plan under the same grammar as in llamacpp.py, whose code does it; any other by its chat template,
without a grammar. Left out: batches of candidates, quantised weights.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from toolagent.dialects import template
from toolagent.errors import ContextOverflow, NoModel
from toolagent.runtimes.llamacpp import LlamaCpp, mark, reusable
from toolagent.types import Conversation, Message

ANSWER = 1024  # most tokens of an answer without a grammar


class TorchWeights:
    """What llamacpp.Weights is, on torch: tokens, logits, and a cache of the last prompt."""

    def __init__(self, path: pathlib.Path, context: int) -> None:
        from toolagent import model as models

        self.path = path
        self.model, self.tokenizer = models.load(path)
        self.model.eval()
        self.context = min(context, int(getattr(self.model.config, "max_position_embeddings", context)))
        self.size = int(self.model.config.vocab_size)
        self.cached: list[int] = []
        self.cache: Any = None
        self.last: Any = None

    def tokens(self, text: str, special: bool = False) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special)["input_ids"])

    def piece(self, token: int) -> bytes:
        return bytes(self.pieces.decode_bytes([token]))

    @property
    def pieces(self) -> Any:
        if not hasattr(self, "_pieces"):
            import llguidance.hf

            self._pieces = llguidance.hf.from_tokenizer(self.tokenizer, n_vocab=self.size)
        return self._pieces

    def prompt(self, ids: Sequence[int]) -> None:
        """Have exactly these tokens cached, reusing the longest common beginning with what was there."""
        from transformers import DynamicCache

        keep = reusable(self.cached, ids)
        if not keep or self.cache is None:
            keep, self.cache = 0, DynamicCache()
        elif keep < len(self.cached):
            self.cache.crop(keep - len(self.cached))
        self.cached = self.cached[:keep]
        self.feed(ids[keep:])

    def feed(self, ids: Sequence[int]) -> None:
        import torch

        if len(self.cached) + len(ids) > self.context:
            raise ContextOverflow(f"{len(self.cached) + len(ids)} tokens do not fit the context of {self.context}")
        row = torch.tensor([list(ids)], device=self.model.device)  # (1, T)
        with torch.no_grad():
            out = self.model(input_ids=row, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self.cache, self.last = out.past_key_values, out.logits[0, -1].float().cpu().numpy()
        self.cached += ids

    def logits(self) -> Any:
        return self.last


class Transformers(LlamaCpp):
    """A directory that `toolagent train` or transformers wrote, as a Runtime."""

    def __init__(
        self, path: str | pathlib.Path, context: int = 4096, hold: bool = True, call_threshold: float = 0.5, constrained: bool = True
    ) -> None:
        from toolagent.dialects import compact
        from toolagent.model import dialect_of

        folder = pathlib.Path(path)
        if not folder.is_dir():
            raise NoModel(f"no model directory at {folder}; --runtime transformers takes a directory that `toolagent train` wrote")
        self.weights: Any = TorchWeights(folder, context)
        self.dialect = dialect_of(folder)
        self.hold, self.constrained, self.call_threshold = hold, constrained, call_threshold
        if self.dialect == "compact":
            self.plan_mark, self.end_mark = mark(self.weights, compact.PLAN), mark(self.weights, compact.END)
            self.ll = self.weights.pieces
        elif not getattr(self.weights.tokenizer, "chat_template", None):
            raise NoModel(f"{folder} has neither a dialect nor a chat template; it cannot be asked for a plan")

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        """n answers (greedy at temperature 0). Raises ContextOverflow, InvalidOutput."""
        if self.dialect == "compact":
            return super().generate(conversation, n=n, temperature=temperature, seed=seed)
        import torch

        torch.manual_seed(seed)
        tokenizer, weights = self.weights.tokenizer, self.weights
        text = template.renderer(tokenizer)(conversation, True)
        ids = torch.tensor([weights.tokens(text, special=True)], device=weights.model.device)  # (1, T)
        room = weights.context - ids.shape[1]
        if room < 64:
            raise ContextOverflow(f"the prompt has {ids.shape[1]} tokens; the context holds {weights.context}. Show fewer tools")
        how = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        with torch.no_grad():
            out = weights.model.generate(
                ids.expand(n, -1), attention_mask=torch.ones_like(ids).expand(n, -1), max_new_tokens=min(room, ANSWER),
                pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id, **how,
            )  # fmt: skip
        return [template.parse(tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True)) for row in out]
