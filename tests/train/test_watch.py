"""What is seen of a run while it goes: the live line, the gap, rows learned by heart, curves and events."""

from __future__ import annotations

import builtins
import itertools
import json
import sys
from dataclasses import dataclass, replace

import pytest

torch = pytest.importorskip("torch")

from toy import ARGS, Toy, batches_of, loss_of, rows_of, validate_of  # noqa: E402

from toolagent.errors import UsageError  # noqa: E402
from toolagent.train import curves, watch  # noqa: E402
from toolagent.train.checkpoint import Progress  # noqa: E402
from toolagent.train.loop import FitArgs, fit  # noqa: E402


def run(out, said=None, loss=loss_of, model=None, resume=False, rows=None, validate=None, **more):
    made = batches_of(rows_of() if rows is None else rows)
    say = (lambda text: None) if said is None else said.append
    return fit(model or Toy(), made, loss, replace(ARGS, **more), out, validate=validate, say=say, resume=resume)


def lines(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


# --- the live line ----------------------------------------------------------------------------------------------------------------------


def test_the_live_line_says_what_it_holds_and_how_long_it_takes():
    assert watch.live(20, 1.23456, 960, 5321.4, 1_720_000_000, 72, 190) == (
        "step 20  loss 1.2346  rows 960  5321 tokens/s  peak 1.7 GB  1.2 min  about 3 min left"
    )
    assert watch.live(20, 12345.678, 960, 5321.4, 0, 7200, 10) == (
        "step 20  loss 1.235e+04  rows 960  5321 tokens/s  2.0 h  under a minute left"
    )


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "under a minute left"), (31, "about 1 min left"), (59 * 60, "about 59 min left"), (3600, "about 1 h 0 min left"),
     (5 * 3600 + 1500, "about 5 h 25 min left"), (47 * 3600 + 1900, "about 48 h left"), (60 * 3600, "about 2 days left")],
)  # fmt: skip
def test_what_is_left_in_words(seconds, words):
    assert watch.left(seconds) == words


def test_the_live_line_fits_110_columns():
    losses, peaks, times = (0.0, -12.3456, 9999.99999, 1.5e12), (0, 999_949, 99_949_999_999, 1_999e12), (0.0, 3599.0, 47.99 * 3600, 9e7)
    for loss, peak, seconds, remaining in itertools.product(losses, peaks, times, times):
        line = watch.live(1_000_000, loss, 48_000_000, 999_999.0, peak, seconds, remaining)
        assert len(line) <= 110, line


def test_a_run_says_and_keeps_its_pace(tmp_path):
    said: list[str] = []
    state = run(tmp_path, said)
    (live,) = [text for text in said if text.startswith("step 20 ")]
    assert "  peak " in live and live.endswith(" left") and f"loss {lines(tmp_path)[0]['loss']:.4f}" in live
    assert [(line["step"], set(line)) for line in lines(tmp_path)] == [(20, {"step", "loss", "rows", "seconds"})] and state.step < 40


# --- learned by heart -------------------------------------------------------------------------------------------------------------------


def test_the_gap_of_the_last_validation_is_kept_and_resumed(tmp_path):
    said: list[str] = []
    state = run(tmp_path, said, validate=validate_of(rows_of(9, seed=1)))
    seen = [line for line in lines(tmp_path) if "valid" in line]
    assert len(seen) >= 4 and all(line["gap"] == line["valid"]["loss"] - line["loss"] for line in seen)
    assert state.gap == seen[-1]["gap"] and torch.load(tmp_path / "checkpoint.pt", weights_only=True)["progress"]["gap"] == state.gap
    assert state.checks == [[line["loss"], line["valid"]["loss"]] for line in seen[-4:]]
    assert any(text.startswith(f"step {state.step}: valid loss ") and f"gap {state.gap:+.4f}" in text for text in said)
    cut = run(tmp_path / "cut", validate=validate_of(rows_of(9, seed=1)), epochs=2.0)
    resumed = run(tmp_path / "cut", validate=validate_of(rows_of(9, seed=1)), epochs=3.3, resume=True)
    assert cut.step < resumed.step and cut.running != resumed.running and len(resumed.checks) == 4


def test_the_running_loss_is_the_mean_of_each_step_that_weighs_a_twentieth(tmp_path):
    sums: list[tuple[float, int, int]] = []

    def loss(model, rows):
        value, count = loss_of(model, rows)
        sums.append((value.item(), int(count), len(rows)))
        return value, count

    state = run(tmp_path, loss=loss)
    want, at = 0.0, 0
    for _ in range(state.step):
        total, tokens, rows = 0.0, 0, 0
        while rows < ARGS.rows_per_step:
            value, count, n = sums[at]
            total, tokens, rows, at = total + value, tokens + count, rows + n, at + 1
        want = 0.95 * want + 0.05 * total / tokens if want else total / tokens
    assert at == len(sums) and state.running == pytest.approx(want)


@pytest.mark.parametrize(
    "checks, heart",
    [
        ([(4, 1), (3, 2), (2, 3), (1, 4)], True),
        ([(9, 9), (4, 1), (3, 2), (2, 3), (1, 4)], True),  # the last three count
        ([(4, 1), (3, 2), (2, 3)], False),  # twice
        ([(4, 1), (3, 2), (2, 2), (1, 4)], False),  # once it did not rise
        ([(1, 1), (2, 2), (3, 3), (4, 4)], False),  # the training loss rises, too: the rate is too high
        ([(4, 1), (3, 2), (2, float("nan")), (1, 4)], False),
        ([], False),
    ],
)
def test_by_heart_is_three_rises_of_validation_while_training_falls(checks, heart):
    assert watch.by_heart(checks) is heart


def test_learning_by_heart_is_said_once_in_a_run_and_its_resumption(tmp_path):
    """A validation that rises at every check, as if by hand; the training loss of the toy falls by itself."""
    rising = itertools.count(1)
    said: list[str] = []
    how = {"validate": lambda model: {"loss": float(next(rising))}, "valid_every": 4, "model": Toy(dropout=0.0)}
    run(tmp_path, said, epochs=3.0, **how)
    (warning,) = [text for text in said if text.startswith("the model is learning the training rows by heart; ")]
    assert "validation has risen for three checks (1.0000 to 4.0000)" in warning and "--patience" in warning
    at = said.index(warning)
    assert len([text for text in said[:at] if ": valid loss" in text]) == 4
    again: list[str] = []
    run(tmp_path, again, epochs=6.0, resume=True, **how)
    assert any(": valid loss 7." in text for text in again) and not any("by heart" in text for text in again)


def test_rows_with_nearly_no_loss_are_named_and_no_others(tmp_path):
    """Rows 0 to 5 always lose next to nothing, all others a nat a token; batches hold rows of both kinds or of one."""
    rows = rows_of(24)
    easy = {f"row {k}" for k in range(6)}
    apart = [[row for row in rows if row.name in easy][:4], rows[6:12], [rows[4], *rows[12:16]], [rows[5]], rows[16:]]

    def loss(model, batch):
        value = sum(0.01 if row.name in easy else row.learned.count(1) for row in batch)
        return model.inner.bias.sum() * 0 + value, torch.tensor(sum(row.learned.count(1) for row in batch))

    said: list[str] = []
    args = replace(ARGS, epochs=1.0, valid_every=1, rows_per_step=24)
    fit(Toy(), lambda rng: apart, loss, args, tmp_path, validate=validate_of(rows), say=said.append)
    (line,) = lines(tmp_path)
    assert line["by_heart"] == {"rows": 5, "names": ["row 0", "row 1", "row 2", "row 3", "row 5"]}  # row 4 stands beside others
    assert said.count("5 rows have nearly no loss left: row 0, row 1, row 2, row 3, row 5") == 1


def seen_by(tmp_path, *batches):
    made = watch.Watch(tmp_path, FitArgs(), lambda text: None, Progress())
    for rows, loss in batches:
        made.batch(rows, loss)
    made.close()
    return list(made.known)


def test_a_row_that_is_forgotten_is_named_no_more(tmp_path):
    a, b, c = rows_of(3)
    assert seen_by(tmp_path, ([a, b], 0.04), ([c], 0.0)) == ["row 0", "row 1", "row 2"]
    assert seen_by(tmp_path, ([a, b], 0.04), ([b, c], 0.5)) == ["row 0"]
    assert seen_by(tmp_path, ([a], -0.001), ([b], 0.051)) == []  # a policy's loss below 0 tells nothing of its rows


# --- curves and events ------------------------------------------------------------------------------------------------------------------


def test_curves_are_drawn_at_validations_and_at_the_end(tmp_path):
    pytest.importorskip("matplotlib")
    from test_curves import points

    drawn = []

    def validate(model):
        path = tmp_path / "curves.svg"
        drawn.append(points(path.read_text("utf-8"))["validation loss over steps"] if path.exists() else 0)
        return {"loss": 2.0, "exact": 0.5}

    state = run(tmp_path, validate=validate)
    assert drawn == list(range(len(drawn))) and len(drawn) >= 4  # at each validation those before it stand there
    found = points((tmp_path / "curves.svg").read_text("utf-8"))
    assert found["exact over minutes"] == found["validation loss over steps"] == len(drawn)
    assert found["training loss over steps"] == len({line["step"] for line in lines(tmp_path)}) and state.step > 20
    run(tmp_path, epochs=0.3)  # too short for a line of its own
    assert not (tmp_path / "curves.svg").exists()


def without(monkeypatch, *packages):
    """As if they were not installed."""
    plain = builtins.__import__

    def refuse(name, *rest, **more):
        if name.split(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in [name for name in sys.modules if name.split(".")[0] in packages or name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    find = curves.importlib.util.find_spec
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name, *more: None if name in packages else find(name, *more))


def test_without_matplotlib_a_run_says_once_how_to_get_it(tmp_path, monkeypatch):
    without(monkeypatch, "matplotlib")

    @dataclass
    class Args(FitArgs):
        out: str = str(tmp_path)

    said: list[str] = []
    for place in (tmp_path / "short", tmp_path / "few", tmp_path):
        args = Args(**vars(replace(ARGS, epochs=2.0)))
        fit(Toy(), batches_of(rows_of()), loss_of, args, place, validate=validate_of(rows_of(9)), say=said.append)
    assert [text for text in said if "matplotlib" in text or "plots" in text] == ["no curves.svg will be drawn: pip install 'toolagent[plots]'"]
    assert not list(tmp_path.glob("**/curves.svg"))


def test_a_picture_that_fails_does_not_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "available", lambda: True)

    def full(out):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(curves, "draw", full)
    said: list[str] = []
    state = run(tmp_path, said, validate=validate_of(rows_of(9)))
    assert state.step > 20
    assert [text for text in said if "curves" in text] == [
        "curves.svg was not drawn (OSError: [Errno 28] No space left on device); log.jsonl holds the figures"
    ]


def test_events_hold_the_figures_of_the_log(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def told():
        found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}

    how = {"validate": validate_of(rows_of(9, seed=1)), "tensorboard": True}
    for more in ({}, {"epochs": 6.0, "resume": True}):
        run(tmp_path, **how, **more)
        found, log = told(), lines(tmp_path)
        assert found["train/loss"] == [(line["step"], pytest.approx(line["loss"])) for line in log if "rows" in line]
        assert found["valid/loss"] == [(line["step"], pytest.approx(line["valid"]["loss"])) for line in log if "valid" in line]
        assert found["valid/gap"][-1][1] == pytest.approx(log[-1]["gap"]) and found["train/peak_bytes"][0][1] > 1e6
    run(tmp_path, **how, epochs=0.5)
    assert max(step for step, _ in told()["valid/loss"]) < 6  # the events of the run before are gone


def test_without_tensorboard_nothing_begins(tmp_path, monkeypatch):
    run(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    without(monkeypatch, "tensorboard")
    with pytest.raises(UsageError, match=r"--tensorboard needs a package \(.*tensorboard.*\): pip install 'toolagent\[tensorboard\]'"):
        run(tmp_path, tensorboard=True, epochs=1.0)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
