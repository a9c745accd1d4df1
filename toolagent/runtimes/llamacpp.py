"""GGUF on llama.cpp: the default runtime, offline, on any processor.

A plan is written one step at a time under the grammar of that step (decoding/plan_grammar.py), so it always parses, names only tools at
hand and refers only to earlier steps. What is common with the prompt before stays in the cache. Uses llama-cpp-python's low-level API: one
context, no copies of logits. Left out: several candidates in one batch, cache on disk, adapters.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.decoding.plan_grammar import STEPS, step_grammar
from toolagent.dialects import compact
from toolagent.errors import ContextOverflow, InvalidOutput, NoModel, UsageError
from toolagent.runtimes import gguf_file
from toolagent.types import Conversation, Message, ToolSpec

SMALL = 50_000_000  # parameters below which one thread decodes sooner: two wait for each other at every layer
STEP_TOKENS = 220  # most tokens of one step; beyond it the shortest way to its end is taken
CLOSERS = (b'"', b")", b"]", b"}", b",")  # how a value, a call, a list, an object ends; at last, the way to the next argument


def threads() -> int:
    """TOOLAGENT_THREADS, else the processors this process may use: its affinity, capped by the control group's quota, at most four.

    More threads than processors stall each other.
    """
    wish = os.environ.get("TOOLAGENT_THREADS", "")
    if wish.isdecimal() and int(wish):
        return int(wish)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, min(count, 4))


class Weights:
    """A GGUF held open: tokens, logits, and a cache of the last prompt. Not for several threads at once.

    The context is no longer than the one that the model was trained with. Raises NoModel.
    """

    def __init__(self, path: pathlib.Path, context: int = 4096, exact: bool = False, n_threads: int = 0) -> None:
        self.path = path
        gguf_file.check(path)
        try:
            import llama_cpp
        except (ImportError, OSError, RuntimeError) as error:
            raise NoModel(f"llama.cpp cannot be loaded here ({error}); --runtime transformers or openai goes without it") from error
        self.api = llama_cpp
        silence(llama_cpp)
        llama_cpp.llama_backend_init()
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0 if exact else model_params.n_gpu_layers
        self.model = llama_cpp.llama_model_load_from_file(os.fsencode(path), model_params)
        if not self.model:
            raise NoModel(f"{path} is damaged or of an architecture that this llama.cpp does not know")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(self.vocab)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = self.context = min(context, llama_cpp.llama_model_n_ctx_train(self.model))
        params.n_batch = params.n_ubatch = 512
        params.n_threads_batch = n_threads or threads()
        small = llama_cpp.llama_model_n_params(self.model) < SMALL
        params.n_threads = n_threads or (1 if small else threads())
        params.flash_attn_type = 0  # slower for single tokens on a CPU, and less exact
        if exact:
            params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        self.ctx = llama_cpp.llama_init_from_model(self.model, params)
        if not self.ctx:
            raise NoModel(f"{path}: llama.cpp could not make a context of {self.context} tokens; is there enough memory?")
        self.memory = llama_cpp.llama_get_memory(self.ctx)
        self.cached: list[int] = []
        self.end = llama_cpp.llama_vocab_eos(self.vocab)

    def close(self) -> None:
        if getattr(self, "ctx", None):
            self.api.llama_free(self.ctx)
            self.ctx = None
        if getattr(self, "model", None):
            self.api.llama_model_free(self.model)
            self.model = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at interpreter exit the library may be gone
            self.close()

    def metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(1 << 16)
        n = self.api.llama_model_meta_val_str(self.model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if n >= 0 else ""

    def tokens(self, text: str, special: bool = False) -> list[int]:
        raw = text.encode("utf-8")
        out = (self.api.llama_token * (len(raw) + 8))()
        n = self.api.llama_tokenize(self.vocab, raw, len(raw), out, len(out), False, special)
        if n < 0:
            raise UsageError("the text cannot be tokenised")
        return list(out[:n])

    def piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(512)
        n = self.api.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(n, 0)]

    def mark(self, text: str) -> int:
        return mark(self, text)

    def feed(self, ids: Sequence[int], logits_for_all: bool = False) -> None:
        """Put these tokens behind what is cached."""
        if len(self.cached) + len(ids) > self.context:
            raise ContextOverflow(f"{len(self.cached) + len(ids)} tokens do not fit the context of {self.context}")
        for at in range(0, len(ids), 512):
            part = list(ids[at : at + 512])
            batch = self.api.llama_batch_init(len(part), 0, 1)
            try:
                batch.n_tokens = len(part)
                for i, token in enumerate(part):
                    batch.token[i] = token
                    batch.pos[i] = len(self.cached) + i
                    batch.n_seq_id[i] = 1
                    batch.seq_id[i][0] = 0
                    batch.logits[i] = logits_for_all or at + i == len(ids) - 1
                if self.api.llama_decode(self.ctx, batch) != 0:
                    raise NoModel(f"{self.path}: llama.cpp failed to run the model")
            finally:
                self.api.llama_batch_free(batch)
            self.cached += part

    def prompt(self, ids: Sequence[int]) -> None:
        """Have exactly these tokens cached, reusing the longest common beginning with what was there."""
        keep = reusable(self.cached, ids)
        if not self.api.llama_memory_seq_rm(self.memory, 0, keep, -1):
            keep = 0
            self.api.llama_memory_clear(self.memory, True)
        self.cached = self.cached[:keep]
        self.feed(ids[keep:])

    def logits(self) -> Any:
        """Logits after the last token, (V,) float32: a view that lives until the next feed."""
        import numpy

        pointer = self.api.llama_get_logits_ith(self.ctx, -1)
        return numpy.ctypeslib.as_array(pointer, shape=(self.size,))

    def all_logits(self, ids: Sequence[int]) -> Any:
        """(T, V) for a text of at most 512 tokens a piece, computed from nothing."""
        import numpy

        self.api.llama_memory_clear(self.memory, True)
        self.cached = []
        out = []
        for at in range(0, len(ids), 512):
            part = ids[at : at + 512]
            self.feed(part, logits_for_all=True)
            pointer = self.api.llama_get_logits(self.ctx)
            out.append(numpy.ctypeslib.as_array(pointer, shape=(len(part), self.size)).copy())
        return numpy.concatenate(out)


def mark(weights: Any, text: str) -> int:
    """The id of a token that is written as one, or NoModel."""
    found = weights.tokens(text, special=True)
    if len(found) != 1:
        raise NoModel(f"{weights.path} has no token {text}: it was not made for the compact dialect")
    return int(found[0])


def reusable(cached: Sequence[int], ids: Sequence[int]) -> int:
    """How many first tokens a prompt shares with what is cached; its last one is always computed, for its logits."""
    limit = min(len(cached), len(ids) - 1)
    return next((k for k in range(limit) if cached[k] != ids[k]), max(limit, 0))


LIMITS: dict[str, Any] = {  # llguidance's own stop at a word of some hundred letters; a step takes a second at worst
    "initial_lexer_fuel": 50_000_000, "step_lexer_fuel": 20_000_000, "step_max_items": 1_000_000, "max_items_in_row": 100_000,
    "verbose_errors": False,
}  # fmt: skip
Done = Sequence[tuple[int, str, Mapping[str, Any]]]  # (k, tool, result schema) of the steps so far
_quiet: Any = None


def silence(llama_cpp: Any) -> None:
    """llama.cpp writes its log to stderr; errors reach the user as exceptions instead (TOOLAGENT_DEBUG=1 shows the log)."""
    global _quiet
    if _quiet is None and os.environ.get("TOOLAGENT_DEBUG") != "1":
        _quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))


class LlamaCpp:
    """A bundle's or file's model as a Runtime. `hold`: words are held to the request (see decoding/plan_grammar.py).

    At temperature 0 it calls where it finds a call likelier than `call_threshold` (0: always calls, at any temperature).
    Not `constrained`: no grammar, the model writes what it likes, which may be no plan (InvalidOutput).
    """

    dialect = "compact"

    def __init__(
        self, path: str | pathlib.Path, context: int = 4096, hold: bool = True, call_threshold: float = 0.5, constrained: bool = True,
        n_threads: int = 0,
    ) -> None:  # fmt: skip
        import llguidance.llamacpp

        folder = pathlib.Path(path)
        file = folder / "model.gguf" if folder.is_dir() else folder
        self.weights = Weights(file, context, n_threads=n_threads)
        if self.weights.metadata("toolagent.dialect") != "compact":
            raise NoModel(f"{file} was not made by toolagent for the compact dialect; run it behind a server and use --runtime openai")
        self.hold, self.constrained = hold, constrained
        self.call_threshold = call_threshold
        self.plan_mark = self.weights.mark(compact.PLAN)
        self.end_mark = self.weights.mark(compact.END)
        self.ll = llguidance.llamacpp.lltokenizer_from_vocab(self.weights.vocab, eos_token=self.end_mark)

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        """n plans (greedy at temperature 0), or plain text where the model would not call. Raises ContextOverflow, InvalidOutput."""
        request = next((m.content for m in reversed(conversation.messages) if m.role == "user"), "")
        ids = self.prompt_tokens(conversation)
        room = self.weights.context - len(ids)
        if room < 64:
            raise ContextOverflow(
                f"the prompt has {len(ids)} tokens; the context holds {self.weights.context}. Say it shorter or show fewer tools"
            )
        out = []
        for i in range(n):
            rng = random.Random(f"{seed}:{i}")
            self.weights.prompt(ids)
            out.append(compact.parse(self.turn(conversation.tools, request, temperature, rng, room)))
        return out

    def prompt_tokens(self, conversation: Conversation) -> list[int]:
        """As in training: marks are tokens, foreign text never is (compact breaks its marks up)."""
        return self.weights.tokens(compact.render(conversation), special=True)

    def turn(self, tools: Sequence[ToolSpec], request: str, temperature: float, rng: random.Random, room: int) -> str:
        import numpy

        if not self.constrained:
            return self.free(temperature, rng, room)
        first = numpy.asarray(self.weights.logits(), dtype=numpy.float64)
        called = 1.0 / float(numpy.exp(first - first[self.plan_mark]).sum())
        if not tools or (self.call_threshold > 0 and (called < self.call_threshold if temperature == 0 else rng.random() > called)):
            return " " + compact.NOTHING
        self.weights.feed([self.plan_mark, *self.weights.tokens("\n")])
        text = compact.PLAN + "\n"
        done: list[tuple[int, str, Mapping[str, Any]]] = []
        specs = {t.name: t for t in tools}
        for k in range(1, STEPS + 1):
            line = self.step(tools, request, done, temperature, rng)
            if line is None:
                break
            call = compact.parse_call(line.rstrip("\n"), k)
            text += line
            done.append((k, call.name, specs[call.name].returns or {}))
        return text + compact.END

    def free(self, temperature: float, rng: random.Random, room: int) -> str:
        """Whatever the model writes, up to its end mark."""
        out: list[int] = []
        for _ in range(min(room - 1, STEPS * STEP_TOKENS)):
            token = self.pick(range(self.weights.size), temperature, rng)
            if token == self.end_mark:
                break
            out.append(token)
            self.weights.feed([token])
        return b"".join(self.weights.piece(t) for t in out).decode("utf-8", "replace")

    def step(self, tools: Sequence[ToolSpec], request: str, done: Done, temperature: float, rng: random.Random) -> str | None:
        """One line under its grammar, or None where the model ends the plan. Raises UsageError (a tool that no grammar can hold)."""
        matcher = self.matcher(tools, request, done)
        out: list[int] = []
        while not (out and matcher.is_accepting()):
            allowed = allowed_tokens(matcher)
            if not out and done:
                allowed = [*allowed, self.end_mark]
            if not len(allowed):
                raise InvalidOutput("the grammar of a step has no way on")
            token = self.pick(allowed, temperature, rng, hurry=len(out) > STEP_TOKENS)
            if token == self.end_mark and not out:
                return None
            if not matcher.consume_token(token):
                raise InvalidOutput(f"the grammar refused a token that it had allowed: {first_line(matcher.get_error())}")
            out.append(token)
            self.weights.feed([token])
        return b"".join(self.weights.piece(t) for t in out).decode("utf-8")

    def matcher(self, tools: Sequence[ToolSpec], request: str, done: Done) -> Any:
        """Raises UsageError that names the tools whose grammar llguidance refuses."""
        from llguidance import LLMatcher, LLParserLimits

        def made(tools: Sequence[ToolSpec]) -> Any:
            return LLMatcher(self.ll, step_grammar(tools, request, done, self.hold), log_level=0, limits=LLParserLimits(**LIMITS))

        matcher = made(tools)
        if not matcher.is_error():
            return matcher
        at_fault = []
        for tool in tools:
            with contextlib.suppress(UsageError):
                if made([tool]).is_error():
                    at_fault.append(tool.name)
        names = ", ".join(at_fault or [t.name for t in tools])
        raise UsageError(
            f"no grammar can be made for {names} ({first_line(matcher.get_error())}); simplify the schema or run with --unconstrained"
        )

    def pick(self, allowed: Any, temperature: float, rng: random.Random, hurry: bool = False) -> int:
        """The best or a sampled token among these; in a hurry among those that close something, where there are such."""
        import numpy

        index = numpy.asarray(allowed, dtype=numpy.int64)
        if hurry:
            starts = [self.weights.piece(int(token)).lstrip()[:1] for token in index]
            nearest = next((c for c in CLOSERS if c in starts), b"")
            index = numpy.asarray([t for t, start in zip(index, starts, strict=True) if start == nearest]) if nearest else index
        scores = self.weights.logits()[index]
        if temperature <= 0:
            return int(index[int(scores.argmax())])
        weights = numpy.exp((scores - scores.max()) / temperature)
        mark = rng.random() * float(weights.sum())
        return int(index[min(int(numpy.searchsorted(numpy.cumsum(weights), mark)), len(index) - 1)])


def first_line(error: Any) -> str:
    return str(error).splitlines()[0] if error else "no reason given"


def allowed_tokens(matcher: Any) -> Any:
    """Ids that the grammar allows next, ascending."""
    import numpy

    mask = numpy.frombuffer(matcher.compute_bitmask(), dtype=numpy.uint8)
    return numpy.flatnonzero(numpy.unpackbits(mask, bitorder="little"))
