"""A teacher's answers on disk: for each learned token of a row, the log-probabilities of the words that may stand there.

    fill(folder, question, rows, load, say)         # asks the teacher for the rows that are not there yet
    log_probs, words = Answers(folder).of(rows)     # (U, K) float32, (U, K) int32; where all words are kept, the log-probabilities alone

A folder belongs to one question: a teacher's weights, a temperature, how many words are kept. In it a row is known by its content (ids and
which of them are learned), whatever file it came from. Shards appear whole or not at all, so a run that was killed goes on behind the last
one; they are read where they lie (mmap), so that the answers need not fit in memory. Left out: two runs that fill one folder at a time.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import NoModel, ToolagentError, UsageError
from toolagent.train import memory, trie
from toolagent.train import rows as data
from toolagent.train.checkpoint import put
from toolagent.train.encode import Row
from toolagent.train.losses import tempered, top_k

SHARD = 2**24  # bytes: what a killed run asks again at most


@dataclass(frozen=True)
class Question:
    """What a teacher is asked for each place: the `kept` likeliest of the first `words` of its vocabulary, at a temperature."""

    teacher: str  # fingerprint of its weights
    dtype: str
    temperature: float
    words: int
    kept: int

    def folder(self, cache: pathlib.Path) -> pathlib.Path:
        return cache / hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Bytes that the answer of one place takes."""
        return self.kept * (4 if self.kept == self.words else 8)

    def answer(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """logits (N, V) -> log-probabilities (N, K) and words (N, K), likeliest first; of all words (N, words) in their order, alone."""
        logits = logits[:, : self.words]
        if self.kept == self.words:
            return (tempered(logits, self.temperature),)
        log_probs, words = top_k(logits, self.kept, self.temperature)
        return log_probs, words.int()


class Answers:
    """What a folder holds. Raises ToolagentError for a shard that cannot be read."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.at: dict[str, tuple[int, int, int]] = {}  # key -> shard, its first place, the one behind its last
        self.shards: list[list[torch.Tensor]] = []
        for path in sorted(folder.glob("*.pt")):
            try:
                found = torch.load(path, mmap=True, weights_only=True)
                counts, tensors = found["counts"], found["tensors"]
            except (RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError) as error:
                why = (str(error).splitlines() or ["nothing in it"])[0]
                raise ToolagentError(f"{path} cannot be read ({why}); delete it, and the teacher is asked again for what it held") from error
            start = 0
            for key, count in counts.items():
                self.at[key] = len(self.shards), start, start + count
                start += count
            self.shards.append(tensors)

    def of(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Question.answer's tensors for the learned places of these rows, in turn. Raises KeyError for a row that is not there."""
        found = [[tensor[a:b] for tensor in self.shards[shard]] for shard, a, b in (self.at[row.key] for row in rows)]
        return [torch.cat(some) for some in zip(*found, strict=True)]


def places(row: Row) -> int:
    """How many tokens of a row are predicted and learned; nothing predicts the first."""
    return row.learned[1:].count(1)


def predicting(model: Any, rows: Sequence[Row], share: bool) -> tuple[trie.Batch, torch.Tensor]:
    """The rows as a batch, and the states that predict their learned tokens (kind 1): (U, H), row by row. What all begin with goes first."""
    batch = trie.batch_of(model, trie.chains(rows), (1,), share)
    return batch, trie.states(model, batch)[batch.places]


@torch.no_grad()
def asked(teacher: Any, rows: Sequence[Row], question: Question, share: bool) -> dict[str, tuple[torch.Tensor, ...]]:
    """Key -> Question.answer's tensors for the learned places of each row, on the CPU."""
    _, states = predicting(teacher, rows, share)
    pieces = [question.answer(trie.logits(teacher, some)) for some in states.split(trie.AT_ONCE)]
    tensors = [torch.cat(some).cpu() for some in zip(*pieces, strict=True)]
    split = [tensor.split([places(row) for row in rows]) for tensor in tensors]
    return dict(zip((row.key for row in rows), zip(*split, strict=True), strict=True))


def fill(
    folder: pathlib.Path, question: Question, rows: Sequence[Row], load: Callable[[], Any], say: Callable[[str], None],
    *, budget: int = 4096, most: int = 16, shard: int = SHARD,
) -> None:  # fmt: skip
    """Ask the teacher that `load` gives for the rows that the folder lacks, and let go of it; where none is lacking, nothing is loaded.

    The rows go in batches of `budget` tokens and `most` rows, whatever the folder holds, and a shard ends with a batch: a run that was killed
    ends with the same answers as one that was not, every bit (CPU). Raises UsageError where the disk is too small, ToolagentError where the
    memory is.
    """
    known = Answers(folder).at
    batches = data.batches(list({row.key: row for row in rows}.values()), budget, most, random.Random(0))
    missing = [batch for batch in batches if any(row.key not in known for row in batch)]
    if not missing:
        say(f"teacher: all its answers are in {folder}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    lacking = [row for batch in missing for row in batch if row.key not in known]
    tokens, free = sum(map(places, lacking)), shutil.disk_usage(folder).free
    cost = f"{question.kept} of {question.words} words for {tokens} tokens take {memory.size(tokens * question.size)}"
    if tokens * question.size > free:
        raise UsageError(f"the teacher's answers do not fit: {cost}, and {folder} has {memory.size(free)} left; keep fewer with --top-k")
    say(f"teacher: {len(lacking)} rows to ask; {cost} in {folder}")
    waiting: dict[str, tuple[torch.Tensor, ...]] = {}
    done = 0
    try:
        teacher = load().eval().to("cuda" if torch.cuda.is_available() else "cpu")
        share = models.full_attention(teacher)
        for batch in missing:
            waiting |= {key: found for key, found in asked(teacher, batch, question, share).items() if key not in known}
            counts = {key: len(found[0]) for key, found in waiting.items()}
            if batch is missing[-1] or sum(counts.values()) * question.size >= shard:
                tensors = [torch.cat(some) for some in zip(*waiting.values(), strict=True)]
                put({"counts": counts, "tensors": tensors}, folder / f"{next(iter(counts))}.pt")
                done, waiting = done + len(waiting), {}
                say(f"teacher: {done} of {len(lacking)} rows asked")
    except (RuntimeError, MemoryError) as error:
        if memory.ran_out(error):
            raise ToolagentError(f"the teacher ran out of memory; {done} rows are kept. Lower --batch-tokens (now {budget})") from error
        raise


def base_of(folder: pathlib.Path) -> pathlib.Path:
    """The directory that holds a model's config: an adapter names its base. Raises NoModel."""
    adapter = folder / "adapter_config.json"
    base = pathlib.Path(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"]) if adapter.exists() else folder
    if not (base / "config.json").exists():
        raise NoModel(f"{base} holds no model (no config.json); give a directory that `toolagent train` or transformers wrote")
    return base


def fingerprint(folder: pathlib.Path) -> str:
    """A hash of a model directory's files of weights and settings, an adapter's base with them (sha256, 16 hex digits). Nothing is loaded.
    Raises NoModel."""
    found = hashlib.sha256()
    for place in dict.fromkeys((folder, base_of(folder))):
        for path in sorted(place.iterdir()):
            if path.suffix in (".safetensors", ".bin") or path.name in ("config.json", "adapter_config.json"):
                with open(path, "rb") as file:
                    found.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:16]


def outline(folder: str) -> tuple[Any, int]:
    """The tokenizer of a model directory, and how many words its head has; the weights are not read. Raises NoModel."""
    from transformers import AutoConfig

    base = base_of(pathlib.Path(folder))
    try:
        return models.load_tokenizer(folder), AutoConfig.from_pretrained(base.resolve()).get_text_config().vocab_size
    except (OSError, ValueError, KeyError) as error:
        raise NoModel(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error


def same_words(student: Any, teacher: Any, rows: Sequence[Row]) -> None:
    """Raises UsageError where a token means two things, or the text of one of the rows is split in two ways."""
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours != theirs:
        differ = sorted(word for word in ours.keys() | theirs.keys() if ours.get(word) != theirs.get(word))
        some = ", ".join(f"{word!r} is {ours.get(word, 'no word')} here and {theirs.get(word, 'no word')} there" for word in differ[:3])
        raise UsageError(f"the teacher has another tokenizer ({len(ours)} words here, {len(theirs)} there, {len(differ)} differ): {some}")
    for row in rows:
        text = student.decode(row.ids)
        here, there = (tokenizer(text, add_special_tokens=False)["input_ids"] for tokenizer in (student, teacher))
        if here != there:
            n = trie.common(here, there)
            a, b = student.convert_ids_to_tokens(here[n : n + 3]), student.convert_ids_to_tokens(there[n : n + 3])
            raise UsageError(f"the teacher's tokenizer has the same words and splits text otherwise: {a} here, {b} there (row {row.name})")
