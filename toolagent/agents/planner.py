"""Request -> plan -> waves in parallel -> results, with one replan where a step fails.

    outcome = Planner(runtime, toolbox, rules).run("text Ana that lunch moved")

The whole plan is validated and its dates resolved before anything runs; calls without dependencies between them run side by side. What
only looks things up goes first, so that a person who is asked (`ask`) sees the address that a mail would go to, not "$1". Calls that write
go in the order of the plan, and calls on the same thing (a note that is made, added to and read) keep their order where one of them writes.
What a failed call said is shown to the model, which may replan once; what was written already is not written again. The same call with the
same arguments is warned of at the third time and stopped at the fifth.
Left out: talking back and forth (chat), choosing among several plans (agents/search.py).
"""

from __future__ import annotations

import concurrent.futures
import contextvars
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolagent.errors import ContextOverflow, InvalidOutput, UsageError
from toolagent.plan import Plan, canonical, check, early, needs, references, substitute
from toolagent.runtimes import Runtime
from toolagent.toolbox import Prepared, Toolbox, flat
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

WARN, STOP = 3, 5  # times that one call may be asked for in a request
LONGEST = 20_000  # characters of a request; a page of a book is 2,000

Retrieve = Callable[[str, Sequence[ToolSpec]], Sequence[ToolSpec]]


def check_request(request: str) -> None:
    """Raises UsageError for an empty request, one longer than LONGEST, or one that is no text."""
    if not request.strip():
        raise UsageError("the request is empty; say what is to be done")
    if len(request) > LONGEST:
        raise UsageError(f"the request has {len(request)} characters; at most {LONGEST} are read. Put long texts in a file or note")
    if any("\ud800" <= c <= "\udfff" for c in request):
        raise UsageError("the request is no UTF-8 text")


@dataclass(frozen=True)
class Proposal:
    """A plan before it runs: `plan` as the model wrote it, `resolved` with its dates, `notes` and `faults` by step (1-based)."""

    plan: Plan
    resolved: Plan = ()
    notes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)
    text: str = ""  # what the model said instead of a plan
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What came of a request. `results` by step of the last proposal; `warnings` are for the person."""

    proposal: Proposal
    results: Mapping[int, ToolResult] = field(default_factory=dict)
    replanned: bool = False
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return any(r.error is not None for r in self.results.values())


Ask = Callable[[Proposal, Mapping[int, ToolResult]], None]


class Planner:
    """`rules` stand in the prompt; `retrieve` chooses the tools worth showing (None: all of them)."""

    def __init__(self, runtime: Runtime, toolbox: Toolbox, rules: str = "", retrieve: Retrieve | None = None, parallel: int = 4) -> None:
        self.runtime, self.toolbox, self.rules, self.retrieve, self.parallel = runtime, toolbox, rules, retrieve, parallel

    def conversation(self, request: str) -> Conversation:
        """The prompt of a request. Raises UsageError."""
        check_request(request)
        tools = self.retrieve(request, self.toolbox.specs) if self.retrieve else self.toolbox.specs
        system = (Message("system", self.rules),) if self.rules else ()
        return Conversation((*system, Message("user", request)), tuple(tools))

    def propose(self, conversation: Conversation, *, temperature: float = 0.0, seed: int = 0) -> Proposal:
        """Ask the model for a plan and prepare every step; nothing runs."""
        started = time.perf_counter()
        message = self.runtime.generate(conversation, temperature=temperature, seed=seed)[0]
        return prepare(self.toolbox, message, time.perf_counter() - started)

    def run(self, request: str, show: Callable[[Proposal], None] | None = None, ask: Ask | None = None) -> Outcome:
        """The whole way. `show` is told each proposal before it runs; `ask` also the results so far, before the first step that writes."""
        started = time.perf_counter()
        self.toolbox.begin()
        conversation = self.conversation(request)
        counts: Counter[str] = Counter()
        warnings: list[str] = []
        written: dict[str, ToolResult] = {}
        replanned = False
        proposal = self.propose(conversation)
        while True:
            if show:
                show(proposal)
            results = self.execute(proposal, counts, warnings, ask, written)
            failed = [k for k, r in results.items() if r.error is not None and not r.error.startswith(("not approved", "not run"))]
            if not failed or replanned or self.toolbox.dry_run:
                break
            answer = tuple(Message("tool", result=results[k]) for k in sorted(results))
            said = Message("assistant", proposal.text, proposal.plan)
            conversation = replace(conversation, messages=(*conversation.messages, said, *answer))
            try:
                again = self.propose(conversation)
            except (InvalidOutput, ContextOverflow):
                break
            if {c.name + canonical(c.arguments) for c in again.plan} <= {c.name + canonical(c.arguments) for c in proposal.plan}:
                break  # nothing new: the person is told what failed
            proposal, replanned = again, True
        return Outcome(proposal, results, replanned, tuple(warnings), time.perf_counter() - started)

    def execute(
        self,
        proposal: Proposal,
        counts: Counter[str],
        warnings: list[str],
        ask: Ask | None = None,
        written: dict[str, ToolResult] | None = None,
    ) -> dict[int, ToolResult]:
        """Run a prepared plan wave by wave. A step whose input failed is not run; neither is any step of a plan with faults.

        `written`: what wrote without error in an earlier plan of this request, by call; such a call is answered, not run again.
        """
        plan = proposal.resolved
        if proposal.faults:
            other = "not run: another step of the plan is not valid"
            return {k: ToolResult(str(k), error=proposal.faults.get(k) or other) for k in range(1, len(plan) + 1)}
        results: dict[int, ToolResult] = {}
        before = dict(written or {})
        harmless = self.harmless(plan)
        for wave in self.order(plan):
            if ask and not harmless.issuperset(wave):
                ask(proposal, results)
                ask = None
            outputs = {} if self.toolbox.dry_run else {k: r.output for k, r in results.items() if r.error is None}
            ready: dict[int, str] = {}
            for k in wave:
                call = plan[k - 1]
                broken = [r for r in needs(plan, k) if results[r].error is not None]
                key = call.name + canonical(substitute(call.arguments, outputs))
                counts[key] += 1
                if broken:
                    results[k] = ToolResult(str(k), error=f"not run: step {broken[0]} has no result")
                elif key in before:
                    results[k] = replace(before[key], call_id=str(k))
                elif counts[key] >= STOP:
                    results[k] = ToolResult(str(k), error=f"not run: {call.name} was asked for {counts[key]} times with the same arguments")
                else:
                    if counts[key] == WARN:
                        warnings.append(f"{call.name} was asked for {WARN} times with the same arguments")
                    ready[k] = key
            pool, one_by_one = concurrent.futures.ThreadPoolExecutor(self.parallel), concurrent.futures.ThreadPoolExecutor(1)
            try:
                jobs = {
                    k: (one_by_one if self.writes(plan[k - 1]) else pool).submit(
                        contextvars.copy_context().run, self.toolbox.call, plan[k - 1], outputs
                    )
                    for k in ready
                }
                for k, job in jobs.items():
                    results[k] = job.result()
                    if written is not None and results[k].error is None and self.writes(plan[k - 1]):
                        written[ready[k]] = results[k]
            finally:  # Ctrl-C does not wait for a slow tool; what has not begun never begins
                pool.shutdown(wait=False, cancel_futures=True)
                one_by_one.shutdown(wait=False, cancel_futures=True)
        return dict(sorted(results.items()))

    def writes(self, call: ToolCall) -> bool:
        return call.name in self.toolbox.tools and self.toolbox.tools[call.name].spec.writes

    def order(self, plan: Plan) -> list[tuple[int, ...]]:
        """Groups of steps that may run side by side, the harmless ones first. Raises PlanError."""
        check(plan)
        level: dict[int, int] = {}
        for k in range(1, len(plan) + 1):
            level[k] = 1 + max((level[j] for j in self.before(plan, k)), default=-1)
        harmless = self.harmless(plan)
        found = [tuple(k for k in level if (k in harmless) == first and level[k] == n) for first in (True, False) for n in range(len(plan))]
        return list(filter(None, found))

    def harmless(self, plan: Plan) -> set[int]:
        """The steps that neither write nor wait for one that does."""
        found: set[int] = set()
        for k, call in enumerate(plan, 1):
            if not self.writes(call) and found.issuperset(self.before(plan, k)):
                found.add(k)
        return found

    def before(self, plan: Plan, k: int) -> set[int]:
        """The steps that step k waits for: those whose results it reads, and earlier ones on the same thing where one of the two writes."""
        about, writes = self.about(plan[k - 1]), self.writes(plan[k - 1])
        return {*needs(plan, k), *(j for j in range(1, k) if (writes or self.writes(plan[j - 1])) and about & self.about(plan[j - 1]))}

    def about(self, call: ToolCall) -> set[tuple[str, str]]:
        """What a call is about: its required words but for texts, dates and results, such as ("name", "shopping list") of a note."""
        if call.name not in self.toolbox.tools:
            return set()
        spec = self.toolbox.tools[call.name].spec
        found = set()
        for name in spec.required:
            schema, word = flat(spec.properties.get(name)), call.arguments.get(name)
            named = schema.get("format") not in ("text", "date-time") and "enum" not in schema
            if named and isinstance(word, str) and not references(word):
                found.add((name, word.casefold()))
        return found


def prepare(toolbox: Toolbox, message: Message, seconds: float = 0.0) -> Proposal:
    """The model's turn -> a proposal: every step validated, every date resolved, every fault noted."""
    resolved: list[ToolCall] = []
    notes: dict[int, tuple[str, ...]] = {}
    faults = early(message.tool_calls)
    for k, call in enumerate(message.tool_calls, 1):
        made = toolbox.prepare(call, references=True)
        if isinstance(made, Prepared):
            resolved.append(made.call)
            if made.notes:
                notes[k] = made.notes
        else:
            resolved.append(call)
            faults.setdefault(k, made.error or "not valid")
    return Proposal(message.tool_calls, tuple(resolved), notes, faults, message.content, seconds)
