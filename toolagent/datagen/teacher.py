"""A teacher writes seeds for a pack that has none: any OpenAI-compatible server, asked for requests with their plans.

    toolagent data teach --pack ./mytools --out mytools/seeds.jsonl --url http://127.0.0.1:8080/v1 --model qwen3 --n 500

As TinyAgent's makers did (Erdogan et al. 2024, arXiv 2409.00608), it is shown sets of one to four tools instead of templates, and now and
then asked for what none of the tools can do. Each row that passes the filters (answers.py) is appended to FILE at once, in the form of
seeds: `toolagent data synthesize --pack ./mytools --seeds FILE` multiplies them.

FILE.state holds every answer as it came, before anything is made of it: the same command goes on where it stopped, and no job that was
answered is asked again. One process a file. Left out: streaming, batches at half the price, a judge that reads the rows.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import pathlib
import random
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from toolagent.datagen import chains
from toolagent.datagen.answers import KINDS
from toolagent.datagen.fillers import Filler
from toolagent.datagen.filters import fingerprint
from toolagent.datagen.ledger import Book, alone, whole_lines
from toolagent.datagen.seeds import load_banks
from toolagent.errors import InvalidOutput, NoModel, ToolagentError, UsageError
from toolagent.runtimes.openai import MOST, OpenAI, refusal
from toolagent.types import ToolSpec

AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # statuses after which the same request may succeed
LONGEST_WAIT = 120.0  # seconds; a server's Retry-After beyond it is cut
NO_FIT = 10  # one job in so many asks for what no tool can do
PATIENCE = 4  # answers without a usable row before a teacher is given up; three times as many once it has written some
GIVE_UP = 3  # jobs in a row that fail after all their attempts
VOICES = (
    "as short as a text message, no greeting", "spoken aloud to a phone", "polite, whole sentences", "chatty, with a reason why",
    "terse notes of a professional", "some in lower case without punctuation", "hints instead of orders", "questions",
    "two or three wishes in one breath", "plain orders",
)  # fmt: skip
EXAMPLE = (
    '{"request": "text Ana that lunch moved to 1pm", "plan": [{"id": 1, "tool": "find_number", "args": {"name": "Ana"}}, '
    '{"id": 2, "tool": "send_text", "args": {"to": "$1", "text": "lunch moved to 1pm"}}], "swap": {"Ana": "person", "1pm": "when"}}'
)


@dataclass(frozen=True)
class Args:
    url: str = "http://127.0.0.1:8080/v1"
    """an OpenAI-compatible server"""
    model: str = ""
    """its name on the server (empty: the first that it lists)"""
    n: int = 500
    """accepted rows to stop at"""
    rows: int = 8
    """rows to ask for at a time"""
    concurrency: int = 4
    """requests at the same time"""
    seed: int = 1
    price_in: float = 0.0
    """price of a million tokens of prompt"""
    price_out: float = 0.0
    """price of a million tokens of answer"""
    temperature: float = 1.0
    attempts: int = 6
    """how often a request is tried when the server is busy, broken or silent"""
    pause: float = 1.0
    """seconds before the second attempt; doubled for each one after it"""
    timeout: float = 180.0
    """seconds for one answer"""


@dataclass(frozen=True)
class Job:
    """What the teacher is asked, by number: the same seed and pack give the same jobs."""

    number: int
    tools: tuple[ToolSpec, ...]  # () : what none of the pack's tools can do
    messages: tuple[dict[str, str], ...]


class Busy(Exception):
    """The server may answer later. `after`: the seconds it asked for; `absent`: nothing listens at its address."""

    def __init__(self, reason: str, after: float = 0.0, absent: bool = False) -> None:
        super().__init__(reason)
        self.after, self.absent = after, absent


class Tally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()

    def add(self, name: str) -> None:
        with self.lock:
            self.counts[name] += 1

    def __getitem__(self, name: str) -> int:
        return self.counts[name]


# --- what is asked ----------------------------------------------------------------------------------------------------------------------


def job(specs: Sequence[ToolSpec], links: Sequence[chains.Link], number: int, args: Args, rules: str, filler: Filler) -> Job:
    """Job `number`. Every tool gets its turn as the first of a set; tools that it is linked with come along more often than chance."""
    rng = random.Random(f"teach:{args.seed}:{number}")
    voice = rng.choice(VOICES)
    flavour = [filler(kind, "Old", rng) for kind in ("person", "place", "event", "topic")] + [filler("when", "monday at 3pm", rng)]
    if number % NO_FIT == NO_FIT - 1:
        return Job(number, (), prompt(specs, True, args.rows, voice, flavour, rules))
    turn = list(specs)
    random.Random(f"teach:{args.seed}").shuffle(turn)
    first = turn[(number - number // NO_FIT) % len(turn)]
    chosen = {first.name}
    size = min(rng.choices((1, 2, 3, 4), (0.25, 0.35, 0.25, 0.15))[0], len(specs))
    pairs = [(link.producer.name, link.consumer.name) for link in links]
    near = [name for pair in pairs if first.name in pair for name in pair]
    while len(chosen) < size:
        chosen.add(rng.choice(near) if near and rng.random() < 0.6 else rng.choice(specs).name)
    tools = tuple(spec for spec in specs if spec.name in chosen)
    return Job(number, tools, prompt(tools, False, args.rows, voice, flavour, rules))


def prompt(
    tools: Sequence[ToolSpec], no_fit: bool, rows: int, voice: str, flavour: Sequence[str], rules: str
) -> tuple[dict[str, str], ...]:
    """`tools`: those to use, or, with `no_fit`, all of the pack."""
    listed = "\n".join(
        f"{tool.name}: {tool.description}" if no_fit else json.dumps(tool.to_json()["function"], ensure_ascii=False) for tool in tools
    )
    if no_fit:
        wish = (
            f"Write {rows} different requests that a person may well make to an assistant with these tools, close to what it is for, "
            'but that none of the tools can do. Their "plan" is [] and their "swap" is {}.'
        )
    elif len(tools) == 1:
        wish = f"Write {rows} different requests that a person may make to an assistant with this tool; some need it several times."
    else:
        wish = (
            f"Write {rows} different requests that a person may make to an assistant with these tools. Most need several of them, "
            "and where the result of one is what another takes, use it."
        )
    text = f"""Tools:
{listed}

{wish}
Manner: {voice}. These may occur in some of them: {"; ".join(flavour)}.
{f"Conventions of this assistant: {rules}" if rules else ""}
One JSON object a line, in this form (the tools of this example are not yours):
{EXAMPLE}

- "request": how people really talk. Never name a tool or an argument; say every value that the plan needs.
- "plan": steps in order. Only the tools above and only their arguments; leave out what nobody asked for. "$1" is the result of step 1:
  use it instead of inventing an address, number, path or id that a tool can look up.
- Copy names, titles, places, codes and dates letter by letter from the request. A date is the request's words ("next tuesday at 3"), never
  a computed one. Numbers are JSON numbers; an enum's value is one of those listed.
- "swap": spans of the request that stand in the plan as they are and could be another of their kind; kinds: {", ".join(KINDS)}."""
    system = "You write training data for an assistant that turns requests into tool calls. You answer with JSON Lines and nothing else."
    return ({"role": "system", "content": system}, {"role": "user", "content": text})


# --- asking -----------------------------------------------------------------------------------------------------------------------------


Answer = tuple[str, int | None, int | None]


def ask(server: OpenAI, messages: Sequence[dict[str, str]], temperature: float) -> Answer:
    """(answer, tokens of the prompt, tokens of the answer). Raises Busy, NoModel (a refusal), ContextOverflow, InvalidOutput."""
    body = {"model": server.model, "messages": list(messages), "temperature": temperature}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if server.key:
        headers["Authorization"] = f"Bearer {server.key}"
    request = urllib.request.Request(server.url + "/chat/completions", json.dumps(body).encode(), headers)
    try:
        with server.opener.open(request, timeout=server.timeout) as reply:
            raw = reply.read(MOST + 1)
    except urllib.error.HTTPError as error:
        told = refusal(server.url, error)
        if error.code in AGAIN and isinstance(told, NoModel):
            after = error.headers.get("Retry-After", "") if error.headers else ""
            raise Busy(str(told), float(after) if after.replace(".", "", 1).isdigit() else 0.0) from error
        raise told from error
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        absent = isinstance(reason, (ConnectionRefusedError, socket.gaierror))
        raise Busy(f"no answer from {server.url}: {reason or type(error).__name__}; is the server running?", absent=absent) from error
    try:
        data = json.loads(raw)
        content = data["choices"][0]["message"].get("content") or ""
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        usage = data.get("usage") or {}
        counts = [usage.get(key) if isinstance(usage.get(key), int) else None for key in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidOutput(f"{server.url} did not answer as a chat server does: {raw[:80]!r}; does --url end in /v1?") from error
    return str(content), counts[0], counts[1]


def patiently(server: OpenAI, job: Job, args: Args, stop: threading.Event, tally: Tally) -> Answer:
    """ask(), again after a pause while the server is busy. Raises NoModel after the last attempt, or when told to stop."""
    rng = random.Random(job.number)
    for attempt in range(1, args.attempts + 1):
        tally.add("requests")
        try:
            return ask(server, job.messages, args.temperature)
        except Busy as error:
            busy = error
        if attempt == args.attempts or (busy.absent and not tally["answers"]):  # a wrong address needs no patience
            break
        if stop.wait(min(max(busy.after, args.pause * 2 ** (attempt - 1) * rng.uniform(0.75, 1.25)), LONGEST_WAIT)):
            break
        tally.add("retries")
    raise NoModel(str(busy))


# --- the loop ---------------------------------------------------------------------------------------------------------------------------


def teach(specs: Sequence[ToolSpec], out: pathlib.Path, args: Args, rules: str = "", key: str = "") -> dict[str, Any]:
    """Ask until `args.n` rows are accepted; each stands in `out` at once. Returns the report (see told()).

    Raises NoModel (no server, a refusal such as 401, nothing but failures), InvalidOutput (nothing usable), UsageError, DataError. Ctrl-C
    and errors first wait for the answers that are under way, because they are paid for; a second Ctrl-C does not. What is written stays.
    """
    if not specs:
        raise UsageError("the pack has no tools to teach")
    book = Book(out, specs)
    with alone(book.state):
        names = fingerprint(json.dumps([spec.to_json() for spec in specs], sort_keys=True))
        book.load({"seed": args.seed, "rows": args.rows, "tools": names})
        tally = Tally()
        before, short = book.accepted, ""
        if book.accepted < args.n:
            server = OpenAI(args.url, args.model, key, args.timeout)
            with progress(args) as show:
                short = run(book, server, args, rules, tally, show)
    return {
        "out": str(out), "rows": book.accepted, "new_rows": book.accepted - before, "asked": args.n, "jobs": len(book.answered),
        **{name: tally[name] for name in ("requests", "retries", "failed")},
        "dropped": dict(book.dropped.most_common()), "tokens_in": book.tokens_in, "tokens_out": book.tokens_out,
        "unmetered": book.unmetered, "cost": cost(book, args), "short": short,
    }  # fmt: skip


def run(book: Book, server: OpenAI, args: Args, rules: str, tally: Tally, show: Callable[[Book, int], None]) -> str:
    """The jobs, `concurrency` at a time, no more than the rows still wanted need. Returns why it stopped early, or ""."""
    filler, links, stop = Filler(load_banks()), chains.links(book.specs), threading.Event()
    numbers = (number for number in itertools.count() if number not in book.answered)
    running: dict[Future[Answer], Job] = {}
    since, failed, first = 0, 0, book.accepted
    pool = ThreadPoolExecutor(args.concurrency, "teacher")

    def wanted() -> bool:
        each = (book.accepted - first) / tally["answers"] if tally["answers"] else args.rows
        return len(running) < args.concurrency and book.accepted + len(running) * max(each, 0.5) < args.n

    def collect() -> None:
        """Wait for an answer; keep it. Raises what the request raised, where going on makes no sense."""
        nonlocal since, failed
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            task = running.pop(future)
            try:
                answer = future.result()
            except NoModel as error:
                tally.add("failed")
                failed += 1
                if isinstance(error.__cause__, urllib.error.HTTPError) or failed >= GIVE_UP or not tally["answers"]:
                    raise  # a refusal, or a server that is gone; a single job that fails is left for the next run
                continue
            tally.add("answers")
            failed = 0
            accepted = book.add(task.number, bool(task.tools), server.model, *answer)
            since = 0 if accepted else since + 1
            show(book, tally["retries"])

    try:
        while True:
            while wanted():
                task = job(book.specs, links, next(numbers), args, rules, filler)
                running[pool.submit(patiently, server, task, args, stop, tally)] = task
            if not running:
                return ""
            collect()
            if since >= (PATIENCE if book.accepted == 0 else 3 * PATIENCE):
                if book.accepted == 0:
                    raise InvalidOutput(useless(book, server.model))
                return f"the last {since} answers brought nothing new"
    except KeyboardInterrupt:
        if running and sys.stderr.isatty():
            print(f"waiting for {len(running)} answers under way; Ctrl-C again leaves at once", file=sys.stderr)
        raise
    finally:
        stop.set()
        while running:
            with contextlib.suppress(ToolagentError):  # the first error is the one to tell
                collect()
        pool.shutdown(wait=False, cancel_futures=True)


def useless(book: Book, model: str) -> str:
    reasons = ", ".join(f"{count} x {why}" for why, count in book.dropped.most_common(3))
    answer = next((row["answer"] for row in whole_lines(book.state) if "answer" in row), "")
    begins = " ".join(answer.split())[:100]
    return f"{model} wrote nothing usable in {len(book.answered)} answers ({reasons}); it begins {begins!r}; try a larger model"


def cost(book: Book, args: Args) -> float:
    return (book.tokens_in * args.price_in + book.tokens_out * args.price_out) / 1e6


def money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.1 else f"{amount:.4f}"


@contextlib.contextmanager
def progress(args: Args) -> Iterator[Callable[[Book, int], None]]:
    """A bar on stderr where that is a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda book, retries: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn(), TextColumn("{task.fields[spent]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=args.n, spent="")

        def show(book: Book, retries: int) -> None:
            spent = f"{book.tokens_in:,} + {book.tokens_out:,} tokens"
            spent += f", {money(cost(book, args))}" if args.price_in or args.price_out else ""
            bar.update(task, completed=min(book.accepted, args.n), spent=spent + (f", {retries} retries" if retries else ""))

        yield show


def told(report: dict[str, Any], priced: bool = False) -> str:
    """The report in lines of text."""
    lines = [f"{report['rows']} rows in {report['out']} ({report['new_rows']} new) from {report['jobs']} answers"]
    lines += [f"  left out {count}: {why}" for why, count in report["dropped"].items()]
    spent = f"{report['tokens_in']:,} tokens of prompts, {report['tokens_out']:,} of answers"
    spent += f", cost {money(report['cost'])}" if priced else ""
    lines.append(spent + (f"; {report['unmetered']} answers not counted by the server" if report["unmetered"] else ""))
    lines += [f"{report['failed']} jobs failed; the same command asks them again"] if report["failed"] else []
    lines += [f"stopped before {report['asked']} rows: {report['short']}"] if report["short"] else []
    return "\n".join(lines)
