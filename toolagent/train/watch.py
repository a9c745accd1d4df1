"""What can be seen of a run while it goes: a line every 20 steps, log.jsonl, curves.svg, events for TensorBoard, rows learned by heart.

    watch = Watch(out, args, say);  watch.batch(rows, loss);  watch.trained(...);  watch.validated(...);  watch.close()

log.jsonl: {"step", "loss", "rows", "seconds"} and, at a validation, {"step", "loss", "seconds", "valid": {...}, "gap", "by_heart": {"rows",
"names"}}. Losses are nats a learned token; the training loss is a running mean of about 20 steps and holds all that the trainer's loss holds
(sft: the request's own words, too), so the gap says something by how it grows. Left out: what the processes beside the first one see.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from toolagent.errors import UsageError
from toolagent.train import curves, memory, record
from toolagent.train.checkpoint import Progress

NEARLY = 0.05  # nats a row: the whole of what it teaches has a probability above 95%
NAMED = 20  # so many names of rows go into a line of the log
CHECKS = 3  # validations in a row that got worse


def needs_tensorboard() -> Any:
    """The class that writes events. Raises UsageError where the package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(f"--tensorboard needs a package ({error}): pip install 'toolagent[tensorboard]'") from error
    return SummaryWriter


def left(seconds: float) -> str:
    """How long is left, in words."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute left"
    if minutes < 60:
        return f"about {minutes} min left"
    if minutes < 600:
        return f"about {minutes // 60} h {minutes % 60} min left"
    if minutes < 48 * 60:
        return f"about {round(minutes / 60)} h left"
    return f"about {round(minutes / 1440)} days left"


def live(step: int, loss: float, rows: int, speed: float, peak: int, seconds: float, remaining: float) -> str:
    """The line that a person watches, at most 110 columns: learned tokens a second, the most memory held, time gone and left."""
    parts = [f"step {step}", f"loss {loss:.4g}" if abs(loss) >= 1e3 else f"loss {loss:.4f}", f"rows {rows}", f"{speed:.0f} tokens/s"]
    parts += [f"peak {memory.size(peak)}"] if peak else []
    return "  ".join([*parts, f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h", left(remaining)])


def by_heart(checks: Sequence[Sequence[float]]) -> bool:
    """Whether validation has risen at each of the last three checks while the training loss fell; `checks`: (training, validation) losses."""
    last = checks[-CHECKS - 1 :]
    rises = all(b[1] > a[1] for a, b in itertools.pairwise(last))
    return len(last) == CHECKS + 1 and rises and last[-1][0] < last[0][0]


class Watch:
    """Open while a run goes. The processes beside the first one write nothing."""

    def __init__(self, out: pathlib.Path, args: Any, say: Callable[[str], None], state: Progress, resume: bool = False, first: bool = True):
        self.out, self.say, self.first = out, say, first
        self.known: dict[str, None] = {}  # rows that have nearly no loss left, in the order in which that was seen
        self.told = 0
        self.news = resume  # something stands in the log that the curves do not show
        self.events = None
        if first and not resume:
            (out / "curves.svg").unlink(missing_ok=True)
            shutil.rmtree(out / "tensorboard", ignore_errors=True)
        if first and args.tensorboard:
            self.events = needs_tensorboard()(str(out / "tensorboard"), purge_step=state.step + 1 if resume else None)
        self.drawn = first and curves.available()
        if first and not self.drawn and record.folder(out, args) == out:  # once a run, not once a stretch of it
            say("no curves.svg will be drawn: pip install 'toolagent[plots]'")
        self.log = open(out / "log.jsonl" if first else os.devnull, "a" if resume else "w", encoding="utf-8")  # noqa: SIM115 (see close)

    def note(self, **row: Any) -> None:
        self.log.write(json.dumps(row) + "\n")
        self.log.flush()
        self.news = True

    def scalars(self, step: int, **figures: float) -> None:
        for name, figure in figures.items():
            if self.events is not None:
                self.events.add_scalar(name.replace("_", "/", 1), figure, step)

    def batch(self, rows: Sequence[Any], loss: float) -> None:
        """`loss` is summed over these rows, and no row's is below 0: where the sum is nearly 0, so is each row's. A row beside others that
        are not learned yet stays unnamed."""
        names = [name for row in rows if (name := getattr(row, "name", ""))]
        if 0 <= loss <= NEARLY:
            self.known |= dict.fromkeys(names)
        else:
            for name in names:
                self.known.pop(name, None)

    def trained(self, state: Progress, speed: float, seconds: float, remaining: float, device: Any) -> None:
        """Some steps are done: `speed` learned tokens a second, `seconds` since the run began."""
        self.note(step=state.step, loss=state.running, rows=state.rows, seconds=round(seconds, 1))
        peak = memory.peak(device)
        self.scalars(state.step, train_loss=state.running, train_rows=state.rows, train_tokens_a_second=speed, train_peak_bytes=peak)
        self.say(live(state.step, state.running, state.rows, speed, peak, seconds, remaining))

    def validated(self, state: Progress, found: dict[str, float], better: bool, seconds: float) -> None:
        """Say and keep what a validation found; `state` gets the gap, validation loss - running training loss."""
        state.gap = found["loss"] - state.running if state.step else math.nan
        state.checks = [*state.checks, [state.running, found["loss"]]][-CHECKS - 1 :]
        rows = {"rows": len(self.known), "names": list(self.known)[:NAMED]}
        self.note(step=state.step, loss=state.running, seconds=round(seconds, 1), valid=found, gap=state.gap, by_heart=rows)
        self.scalars(state.step, **{f"valid_{name}": value for name, value in found.items()}, valid_gap=state.gap)
        text = "  ".join(f"valid {k} {v:.4f}" for k, v in found.items())
        self.say(f"step {state.step}: {text}  gap {state.gap:+.4f}" + ("  (best)" if better else ""))
        self.name_rows()
        if by_heart(state.checks) and not state.warned:
            state.warned = True
            (train, valid), (train_now, valid_now) = state.checks[0], state.checks[-1]
            self.say(
                "the model is learning the training rows by heart; validation has risen for three checks "
                f"({valid:.4f} to {valid_now:.4f}) while the training loss fell ({train:.4f} to {train_now:.4f}). "
                "Stop earlier (--patience 3, fewer --epochs), or give it more rows and rows that differ more"
            )
        self.draw()

    def name_rows(self) -> None:
        """Say which rows have nothing left to teach, when their number has changed."""
        if len(self.known) != self.told:
            self.told = len(self.known)
            some = ", ".join(itertools.islice(self.known, 8)) + (f" and {self.told - 8} more" if self.told > 8 else "")
            self.say(f"{self.told} rows have nearly no loss left" + (f": {some}" if some else ""))

    def draw(self) -> None:
        """A run does not end because a picture could not be made."""
        if not self.drawn or not self.news:
            return
        self.news = False
        try:
            curves.draw(self.out)
        except Exception as error:
            self.drawn = False
            self.say(f"curves.svg was not drawn ({type(error).__name__}: {' '.join(str(error).split())}); log.jsonl holds the figures")

    def close(self) -> None:
        self.log.close()
        self.name_rows()
        self.draw()
        if self.events is not None:
            self.events.close()
