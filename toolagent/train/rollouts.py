"""Prompts -> answers that the model samples, G to each; and the log-probabilities of their tokens, for training on them.

    answers = sample(model, [prompt.ids for prompt in prompts], 4, Sampling(), stops, generator)
    for piece in pieces(prompts, answers, share=True): log_probs, values, mask = measured(model, piece)

Sampling keeps keys and values: a prompt goes through the model once for its G answers, and rows that have ended leave the batch. Each answer has
random numbers of its own, drawn before the first token, so that what is sampled beside it does not matter. Prompts of unlike length stand behind
padding on the left that nothing sees; models with sliding windows or recurrence take prompts of one length at a time. What is trained on is
not the sampler's arithmetic but one more forward pass over each prompt and its answers as a tree (train/trie.py), at the same temperature.
Left out: grammars (a model of the compact dialect is trained to write plans that its grammar would force), calls that are run, greedy answers.
"""

from __future__ import annotations

import contextlib
import pathlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from toolagent.dialects import compact, template
from toolagent.errors import DataError, InvalidOutput
from toolagent.train import rows as data
from toolagent.train import trie
from toolagent.train.encode import Row, encoder_for
from toolagent.train.losses import exact, token_log_probs
from toolagent.types import Conversation, Message

GREETING = Conversation((Message("user", "Hello."), Message("assistant", "Hello.")))


@dataclass(frozen=True)
class Prompt:
    """`ids`: what the model reads before its answer, up to and with the header of its turn."""

    name: str
    conversation: Conversation
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Sampling:
    temperature: float = 1.0
    top_p: float = 1.0  # the fewest words that are so likely together are left (Holtzman et al. 2020); log-probabilities are of all words
    max_tokens: int = 256


# --- text ---------------------------------------------------------------------------------------------------------------------------------


def read(paths: Sequence[pathlib.Path], tokenizer: Any, dialect: str, longest: int, limit: int = 0) -> tuple[list[Prompt], str]:
    """(prompts, what became of the lines): JSONL of conversations, without the assistant's turn that ends them. Raises DataError."""
    render = template.renderer(tokenizer)
    encode = encoder_for(tokenizer, dialect)
    found: list[Prompt] = []
    dropped: Counter[str] = Counter()
    for place, name, conversation in data.conversations(paths):
        said = conversation.messages
        while said and said[-1].role == "assistant":
            said = said[:-1]
        if not any(message.role in ("user", "tool") for message in said):
            dropped["nothing is asked"] += 1
            continue
        asked = replace(conversation, messages=said)
        try:  # as the model is asked when it is served
            ids = encode(asked, "").ids if dialect == "compact" else tokenizer(render(asked, True), add_special_tokens=False)["input_ids"]
        except data.FAULTS as error:
            raise DataError(f"{place}: {error}") from error
        if len(ids) > longest:
            dropped[f"longer than {longest} tokens"] += 1
        else:
            found.append(Prompt(name, asked, tuple(ids)))
        if limit and len(found) >= limit:
            break
    why = "".join(f"; {n} dropped: {reason}" for reason, n in dropped.items())
    if not found:
        raise DataError(f"{', '.join(map(str, paths))}: no prompt to answer{why}")
    return found, f"{len(found)} prompts, the longest of {max(len(p.ids) for p in found)} tokens{why}"


def stops_of(tokenizer: Any, dialect: str) -> frozenset[int]:
    """The tokens that end a turn: behind words, behind a call (Llama 3.1 has two), and the tokenizer's own end. Raises DataError."""
    encode = encoder_for(tokenizer, dialect)
    found = {tokenizer.eos_token_id} - {None}
    for sample in (GREETING, replace(template.SAMPLE, messages=template.SAMPLE.messages[:2])):
        with contextlib.suppress(DataError):
            found.add(encode(sample, "").ids[-1])
    if not found:
        raise DataError("the tokenizer has no token that ends a turn, so no answer would end")
    return frozenset(found)


def reader(tokenizer: Any, dialect: str, stops: frozenset[int]) -> Callable[[tuple[int, ...]], Message]:
    """An answer's tokens -> Message, by the dialect; what it cannot read is a Message of the bare text."""
    parse = compact.parse if dialect == "compact" else template.parse

    def message(ids: tuple[int, ...]) -> Message:
        text = tokenizer.decode([t for t in ids if t not in stops], skip_special_tokens=dialect != "compact")
        try:
            return parse(text)
        except InvalidOutput:
            return Message("assistant", text)

    return message


# --- sampling -----------------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def sample(
    model: Any, prompts: Sequence[tuple[int, ...]], answers: int, how: Sampling, stops: frozenset[int], generator: torch.Generator,
    share: bool = True, at_once: int = 64,
) -> list[tuple[int, ...]]:  # fmt: skip
    """P prompts -> P * G answers, the G of each prompt in turn; one ends with one of `stops`, or where it was cut at max_tokens.

    `share`: prompts of unlike length may go together (model.full_attention). `at_once`: rows of a batch. `generator` is of the CPU.
    """
    uniforms = torch.rand(len(prompts), answers, how.max_tokens, generator=generator, dtype=torch.float64)
    found: list[tuple[int, ...]] = [()] * (len(prompts) * answers)
    for some in together(prompts, max(at_once // answers, 1), share):
        said = continued(model, [prompts[i] for i in some], uniforms[some].flatten(0, 1), how, stops)
        for k, i in enumerate(some):
            found[i * answers : (i + 1) * answers] = map(tuple, said[k * answers : (k + 1) * answers])
    return found


def together(prompts: Sequence[tuple[int, ...]], most: int, share: bool) -> Iterator[list[int]]:
    """Which prompts go through the model at once: like lengths; without `share`, one length."""
    some: list[int] = []
    for i in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
        if some and (len(some) >= most or not (share or len(prompts[i]) == len(prompts[some[0]]))):
            yield some
            some = []
        some.append(i)
    yield some


def continued(model: Any, prompts: Sequence[tuple[int, ...]], uniforms: torch.Tensor, how: Sampling, stops: frozenset[int]) -> list[list[int]]:
    """P prompts and uniform numbers (P * G, max_tokens) -> P * G answers."""
    device, longest = next(model.parameters()).device, max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=device)  # (P, L)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)  # (P, L), then (R, L + t)
    padded = not bool(mask.all())  # otherwise nothing is said of masks, and models that know none are asked in their plainest way

    def seen(positions: torch.Tensor) -> dict[str, Any]:
        return {"attention_mask": mask, "position_ids": positions} if padded else {}

    out = model(input_ids=ids, use_cache=True, logits_to_keep=1, **seen((mask.cumsum(-1) - 1).clamp(min=0)))
    rows = torch.arange(len(prompts), device=device).repeat_interleave(len(uniforms) // len(prompts))  # (R,), R = P * G at first
    writing = list(range(len(uniforms)))  # whose answer each row writes
    logits, mask, cache = out.logits[rows, -1], mask[rows], out.past_key_values
    cache.reorder_cache(rows)
    found: list[list[int]] = [[] for _ in writing]
    for t in range(how.max_tokens):
        tokens = drawn(logits, uniforms[writing, t].to(device), how)  # (R,)
        for answer, token in zip(writing, tokens.tolist(), strict=True):
            found[answer].append(token)
        going = [k for k, answer in enumerate(writing) if found[answer][-1] not in stops]
        if not going or t == how.max_tokens - 1:
            break
        if len(going) < len(writing):
            kept = torch.tensor(going, device=device)
            cache.reorder_cache(kept)
            writing, tokens, mask = [writing[k] for k in going], tokens[kept], mask[kept]
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)
        more = seen(mask.sum(-1, keepdim=True) - 1)
        logits = model(input_ids=tokens[:, None], past_key_values=cache, use_cache=True, logits_to_keep=1, **more).logits[:, -1]
    return found


def drawn(logits: torch.Tensor, uniforms: torch.Tensor, how: Sampling) -> torch.Tensor:
    """The word at which the running sum of probabilities passes the uniform number: (R, V), (R,) -> (R,)."""
    p = torch.softmax(logits.double() / how.temperature, -1)
    words = None
    if how.top_p < 1:
        p, words = p.sort(dim=-1, descending=True, stable=True)
        p = torch.where(p.cumsum(-1) - p < how.top_p, p, 0.0)
    ends = p.cumsum(-1)  # (R, V)
    at = torch.searchsorted(ends, uniforms[:, None] * ends[:, -1:], right=True).clamp(max=p.size(-1) - 1)  # (R, 1)
    return (at if words is None else words.gather(-1, at)).squeeze(-1)


# --- log-probabilities --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """Some answers of a rollout, as one batch for the model: `rows` (n,) are their places in the rollout, `mask` (n, T) their tokens."""

    rows: torch.Tensor
    batch: trie.Batch
    mask: torch.Tensor


def pieces(prompts: Sequence[Prompt], answers: Sequence[tuple[int, ...]], share: bool, budget: int = 4096, most: int = 64) -> list[Piece]:
    """P prompts and their P * G answers -> pieces of about `most` answers and `budget` tokens, the same ones for the same answers."""
    each, width = len(answers) // len(prompts), max(map(len, answers))
    rows = [Row(p.ids + a, bytes(len(p.ids)) + b"\1" * len(a), p.name) for k, a in enumerate(answers) for p in [prompts[k // each]]]
    room = (budget - max(len(p.ids) for p in prompts)) // width
    of_a_tree = max(min(each, most, room), 1) if share else 1
    units = [list(range(k, min(k + of_a_tree, g + each))) for g in range(0, len(rows), each) for k in range(g, g + each, of_a_tree)]
    trees = [trie.flat([rows[k] for k in unit]) for unit in units]
    places = data.batches(
        range(len(units)), budget, max(most // of_a_tree, 1), random.Random(0), lambda u: rows[units[u][0]], lambda u: len(trees[u].ids)
    )
    found = []
    for some in places:
        owners = torch.tensor([k for u in some for k in units[u]])
        mask = torch.arange(width) < torch.tensor([len(answers[k]) for k in owners])[:, None]  # (n, T)
        found.append(Piece(owners, trie.collate([trees[u] for u in some], (1,), share), mask))
    return found


def measured(
    model: Any, piece: Piece, temperature: float = 1.0, value: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(log-probabilities, values) of the answers' tokens, (n, T) each, 0 outside of the mask; values are 0 without a `value` head.

    A token's value is that of the state before it: `value` takes the states (U, H) that predict, and gives (U,).
    """
    batch = piece.batch.to(next(model.parameters()).device)
    mask = piece.mask.to(batch.ids.device)
    order = batch.owners.argsort(stable=True)  # answer by answer; the tokens of each are in order already

    def words(states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return token_log_probs(exact(trie.logits(model, states)) / temperature, targets)

    def laid(each: torch.Tensor) -> torch.Tensor:
        return each.new_zeros(mask.shape).masked_scatter(mask, each[batch.pick][order])

    states = trie.states(model, batch)[batch.places]  # (U, H)
    if len(states) <= trie.AT_ONCE:
        log_probs = words(states, batch.targets)
    else:  # the logits of a part are computed again in the backward pass, as in trie.log_probs
        parts = zip(states.split(trie.AT_ONCE), batch.targets.split(trie.AT_ONCE), strict=True)
        log_probs = torch.cat([checkpoint(words, s, t, use_reentrant=False) for s, t in parts])
    return laid(log_probs), laid(value(exact(states)) if value else torch.zeros_like(log_probs))
