"""A plan under the grammar cannot be wrong in form: the worst model there is, sampled hot, with any tools and any request.

    python benchmarks/constrained.py --n 10000

A model with random weights writes plans at temperature 1 to 2 for the desktop pack, 10 packs of the seeds, 10 packs of invented tools and
one pack of every schema feature that the grammar holds. Requests are real ones, shreds of them, or rubbish. Counted: plans that do not
parse, calls that their schema refuses (toolbox.check), references to a step that is not earlier. Each must be 0; exit code 1 otherwise.
Prompts that do not fit the context, plans that would not, and requests for which no tool can be called are refused by name; they are
counted apart. Left out: whether the plan is the right one (toolagent bench plans).
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Sequence

from toolagent import plan
from toolagent.datagen import generic, synthesize
from toolagent.datagen.seeds import load_packs
from toolagent.decoding.plan_grammar import STEPS
from toolagent.dialects import compact
from toolagent.errors import ContextOverflow, InvalidOutput, PlanError, ToolagentError, UsageError
from toolagent.runtimes.llamacpp import LlamaCpp
from toolagent.toolbox import check, default_pack_path, load_pack
from toolagent.types import Conversation, Message, ToolSpec

NAME = {"type": "string", "format": "name"}
SPOTS = {"type": "object", "properties": {"x": {"type": "number", "minimum": -1, "maximum": 1}, "label": NAME}, "required": ["x"]}
FEATURES = {  # every kind of value, each in a tool of its own and all in one
    "bounds": {"type": "integer", "minimum": 1, "maximum": 12},
    "above": {"type": "integer", "exclusiveMinimum": 0},
    "steps": {"type": "integer", "multipleOf": 5},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "any_number": {"type": "number"},
    "flag": {"type": "boolean"},
    "choice": {"type": "string", "enum": ["low", "so so", 'the "best"', ""]},
    "fixed": {"const": 3},
    "mixed": {"enum": [1, "two", None, True, 2.5]},
    "either": {"type": ["integer", "boolean"]},
    "option": {"anyOf": [NAME, {"type": "null"}]},
    "short": {"type": "string", "maxLength": 12},
    "long": {"type": "string", "minLength": 5, "format": "text"},
    "word": {"type": "string"},
    "mail": {"type": "string", "format": "email"},
    "phone": {"type": "string", "format": "phone"},
    "path": {"type": "string", "format": "path"},
    "link": {"type": "string", "format": "uri"},
    "when": {"type": "string", "format": "date-time"},
    "text": {"type": "string", "format": "text"},
    "few": {"type": "array", "items": NAME, "minItems": 2, "maxItems": 3},
    "maybe": {"type": "array", "items": {"type": "integer"}, "minItems": 0},
    "mails": {"type": "array", "items": {"type": "string", "format": "email"}},
    "grid": {"type": "array", "items": {"type": "array", "items": NAME}},
    "place": {"type": "object", "properties": {"city": NAME, "spots": {"type": "array", "items": SPOTS}}, "required": ["city"]},
}
RUBBISH = "aZ é日ب9 \"'\\($<|{}[]\n\t\u0301\u200d\u202e👍/@.:,;#%&=~`\x00\x7f$1 ${2} \\n \\u0041 a@b.co /x/y.z +44 20 7946 0999 www.a.b/c"


def hard_pack() -> tuple[ToolSpec, ...]:
    kinds = [s for s in FEATURES.values() if isinstance(s.get("format"), str)]
    singles = [
        ToolSpec(f"set_{name}", f"Set {name}.", {"type": "object", "properties": {name: s}, "required": [name]}, kinds[i % len(kinds)])
        for i, (name, s) in enumerate(FEATURES.items())
    ]
    return (*singles, ToolSpec("set_all", "Set them all.", {"type": "object", "properties": FEATURES, "required": ["bounds", "share", "place"]}))


def packs(rng: random.Random, desktop: Sequence[ToolSpec]) -> dict[str, tuple[ToolSpec, ...]]:
    found = {"desktop": tuple(desktop), "every feature": hard_pack()}
    seeds = load_packs()
    found |= {name: seeds[name] for name in rng.sample(sorted(seeds), min(10, len(seeds)))}
    return found | {f"invented {i}": generic.invented_tools(rng, rng.randint(3, 12)) for i in range(10)}


def request_for(tools: Sequence[ToolSpec], world: synthesize.World, rng: random.Random) -> str:
    """A request that means something, shreds of several, or rubbish."""

    def real() -> str:
        made = generic.request_for(rng.choice(tools), world.filler, rng) if rng.random() < 0.5 else None
        return (made or synthesize.spoken(world.skeletons, world.filler, rng)).request

    match rng.randrange(3):
        case 0:
            return real()
        case 1:
            shreds = [w for _ in range(3) for w in real().split()]
            return " ".join(rng.choices(shreds, k=rng.randint(1, 40)))
        case _:
            return "".join(rng.choice(RUBBISH) if rng.random() < 0.7 else rng.choice(RUBBISH.split()) for _ in range(rng.randint(1, 120)))


def faults(message: Message, tools: Sequence[ToolSpec]) -> list[str]:
    """What is wrong with the form of a plan; [] when nothing is."""
    specs = {t.name: t for t in tools}
    found = []
    if not message.tool_calls:
        found.append("no calls")
    if compact.parse(compact.answer(message)) != message:
        found.append("not read back as it was")
    for k, call in enumerate(message.tool_calls, 1):
        found += [f"{call.name}: {text}" for text in check(specs[call.name], call.arguments, references=True)]
        found += [f"${r} in step {k}" for r in plan.references(call.arguments) if k <= r <= STEPS]
    try:
        plan.check(message.tool_calls)
    except PlanError as error:
        found.append(str(error))
    return found


def random_model(folder: pathlib.Path, world: synthesize.World, seed: int) -> pathlib.Path:
    """A GGUF of one layer with random weights, and a tokenizer trained on 300 synthesized rows."""
    from toolagent import model as models
    from toolagent.export import gguf
    from toolagent.train.sft import new_tokenizer

    (folder / "rows.jsonl").write_text("".join(line for line, _ in synthesize.rows(world, 300, seed, workers=1)), "utf-8")
    tokenizer = new_tokenizer([folder / "rows.jsonl"], 2000)
    shape = models.Shape(width=32, layers=1, heads=2, kv_heads=1, hidden=32, context=4096)
    gguf.write(models.make(shape, tokenizer, seed), tokenizer, folder / "model.gguf", "f32", "compact")
    return folder / "model.gguf"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    pack = load_pack(default_pack_path())
    world = synthesize.load_world([t.spec for t in pack.tools], pack.rules)
    shown = packs(rng, world.specs)
    refused: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    plans = steps = 0
    with tempfile.TemporaryDirectory() as folder:
        runtime = LlamaCpp(random_model(pathlib.Path(folder), world, args.seed), call_threshold=0, n_threads=args.threads)
        started = time.perf_counter()
        for k in range(args.n):
            name = list(shown)[k * len(shown) // args.n]  # one pack after the other, so that its tools stay in the cache
            request, temperature = request_for(shown[name], world, rng), rng.uniform(1, 2)
            runtime.hold = rng.random() < 0.9
            rules = (Message("system", pack.rules),) if name == "desktop" else ()
            try:
                (message,) = runtime.generate(Conversation((*rules, Message("user", request)), shown[name]), temperature=temperature, seed=k)
                found = faults(message, shown[name])
                plans, steps = plans + 1, steps + len(message.tool_calls)
            except ContextOverflow:
                refused["the context is too short"] += 1
                continue
            except UsageError as error:
                refused[str(error)[:160]] += 1
                continue
            except InvalidOutput as error:
                plans, found = plans + 1, [f"not parsed: {error}"]
            if found:
                wrong.append(f"{name}, {request!r}, hold {runtime.hold}, seed {k}: {'; '.join(found)[:500]}")
                print(wrong[-1], file=sys.stderr, flush=True)
            if (k + 1) % 500 == 0:
                pace = plans / (time.perf_counter() - started)
                print(f"{k + 1} of {args.n}: {len(wrong)} wrong, {pace:.1f} plans/s", file=sys.stderr, flush=True)
        seconds = time.perf_counter() - started
        runtime.weights.close()
    print(f"constrained: {plans} plans of {steps} steps over {len(shown)} packs, {len(wrong)} wrong", end="")
    print(f" (95%: below {3 / plans:.3%})" if plans and not wrong else "", f"{plans / seconds:.1f} plans/s", sep=", ")
    for why, count in refused.most_common():
        print(f"  refused {count}: {why}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ToolagentError as error:
        sys.exit(f"constrained: {error}")
