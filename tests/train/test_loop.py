"""The loop: what it is stopped by, what it leaves on disk, and that a run that was killed ends as if it had not been."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from toy import ARGS, Toy, batches_of, loss_of, rows_of, validate_of  # noqa: E402

from toolagent.errors import ToolagentError, UsageError  # noqa: E402
from toolagent.train import checkpoint, loop  # noqa: E402
from toolagent.train.loop import FitArgs, fit, rate, settled  # noqa: E402


def quiet(text):
    pass


def trained(model):
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def run(out, loss=loss_of, model=None, validate=None, resume=False, say=quiet, **more):
    model = Toy() if model is None else model
    state = fit(model, batches_of(rows_of()), loss, dataclasses.replace(ARGS, **more), out, validate=validate, say=say, resume=resume)
    return model, state


# --- stopped and resumed ----------------------------------------------------------------------------------------------------------------


def in_a_process(out, at_loss=0, at_save=0):
    return subprocess.run(
        [sys.executable, Path(__file__).with_name("toy.py"), out, str(at_loss), str(at_save)], capture_output=True, text=True
    )


def test_killed_twice_and_resumed_it_ends_with_the_same_weights(tmp_path):
    assert in_a_process(tmp_path / "whole").returncode == 0
    rng = random.Random()
    kills = [(rng.randrange(2, 30), 0), (0, rng.randrange(1, 4))]  # in the middle of a step; half-way through a file
    for at_loss, at_save in kills:
        assert in_a_process(tmp_path / "killed", at_loss, at_save).returncode == -signal.SIGKILL, kills
    assert in_a_process(tmp_path / "killed").returncode == 0, kills
    whole, killed = (torch.load(tmp_path / name / "final.pt") for name in ("whole", "killed"))
    assert equal(whole.pop("weights"), killed.pop("weights")), kills
    assert whole == killed and whole["step"] > 20 and whole["rows"] >= 3.3 * 60


@pytest.mark.parametrize("at", [1, 2, 9, 14, 31])
def test_ctrl_c_in_the_middle_of_a_step_loses_nothing(tmp_path, at):
    want, _ = run(tmp_path / "whole", validate=validate_of(rows_of(9, seed=1)))
    calls = 0

    def interrupted(model, rows):
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return loss_of(model, rows)

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", interrupted, validate=validate_of(rows_of(9, seed=1)), say=said.append)
    assert said[-1] == "interrupted; the checkpoint is whole: go on with --resume"
    got, _ = run(tmp_path / "cut", validate=validate_of(rows_of(9, seed=1)), resume=True)
    assert equal(trained(got), trained(want))


def test_ctrl_c_while_the_weights_change_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    steps = 0
    plain = loop.Muon.step

    def half_way(self, closure=None):
        nonlocal steps
        steps += 1
        plain(self)
        if steps == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Muon, "step", half_way)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt")["progress"]["step"] == 4  # checkpoint_every
    got, _ = run(tmp_path, resume=True)
    want, _ = run(tmp_path / "whole")
    assert equal(trained(got), trained(want))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    plain, calls = torch.save, 0

    def full(value, path):
        nonlocal calls
        calls += 1
        plain(value, path)
        if calls == 2:
            raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/3")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(ToolagentError, match=r"checkpoint\.pt cannot be written: .*is the disk full\?"):
        run(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "log.jsonl", "record.json"]
    assert torch.load(tmp_path / "checkpoint.pt")["progress"]["step"] == 4


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    run(tmp_path, epochs=0.5)
    other = torch.nn.Sequential(torch.nn.Linear(8, 8))
    with pytest.raises(UsageError, match=r"checkpoint\.pt does not fit this run \(it holds other weights\)"):
        fit(other, batches_of(rows_of()), loss_of, ARGS, tmp_path, say=quiet, resume=True)
    with pytest.raises(UsageError, match="does not fit this run"):
        run(tmp_path, optimizer="adamw", lr=1e-3, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    with pytest.raises(UsageError, match="does not fit this run"):
        run(tmp_path, resume=True)


def test_what_an_older_run_left_is_not_taken_up_unasked(tmp_path):
    """Its best weights beat the new run's, which a validation that is no number never replaces."""
    run(tmp_path, validate=lambda model: {"loss": 0.0})
    old = torch.load(tmp_path / "best.pt")
    model, state = run(tmp_path, model=Toy(seed=9), epochs=0.5, validate=lambda model: {"loss": math.nan})
    assert not (tmp_path / "best.pt").exists() and state.best == math.inf
    assert not equal(trained(model), old)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(math.isnan(line["valid"]["loss"]) for line in lines)  # the log is the new run's alone


# --- the step ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (5, 3), (1, 7), (1,) * 8])
def test_the_step_does_not_depend_on_how_rows_fell_into_batches(tmp_path, monkeypatch, sizes):
    """One step of plain descent on 8 rows of different lengths, against one batch of all."""
    rows = rows_of(8)
    monkeypatch.setattr(loop, "optimizers", lambda model, args: [torch.optim.SGD(model.parameters(), lr=1.0)])
    found = {}
    for parts in ((8,), sizes):
        at, cut = 0, []
        for n in parts:
            cut.append(rows[at : at + n])
            at += n
        model = Toy(dropout=0.0)
        fit(model, lambda rng, cut=cut: cut, loss_of, dataclasses.replace(ARGS, epochs=1.0, warmup=1), tmp_path, say=quiet)
        found[parts] = trained(model)
    assert all(torch.allclose(found[sizes][n], found[(8,)][n], atol=1e-7) for n in found[sizes])
    assert not equal(found[sizes], trained(Toy(dropout=0.0)))


def test_the_rate_rises_holds_and_falls():
    args = FitArgs(warmup=4, cooldown=0.5)
    assert [rate(step, 0.0, args) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert [rate(9, done, args) for done in (0.3, 0.5, 0.75, 0.9)] == pytest.approx([1.0, 1.0, 0.5, 0.2])
    assert rate(9, 1.0, args) == 0.01
    assert rate(0, 0.0, FitArgs(warmup=0)) == 1.0


def test_what_is_left_open_depends_on_where_the_model_comes_from():
    def of(args, scratch, lora):
        args = settled(args, scratch, lora)
        return args.optimizer, args.lr

    assert of(FitArgs(), True, False) == ("muon", 0.01)
    assert of(FitArgs(), False, True) == ("adamw", 2e-4)
    assert of(FitArgs(), False, False) == ("adamw", 2e-5)
    assert of(FitArgs(optimizer="muon", lr=0.5), False, True) == ("muon", 0.5)


def test_a_run_by_the_clock(tmp_path, monkeypatch):
    """A clock that moves 6 seconds a batch: one minute is ten batches, the rate falls over its second half, and the epochs do not count."""
    clock = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    rates = []

    def loss(model, rows):
        clock[0] += 6.0
        return loss_of(model, rows)

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])

    monkeypatch.setattr(loop, "optimizers", lambda model, args: [Watched(model.parameters(), lr=1.0)])
    _, state = run(tmp_path, loss, minutes=1.0, epochs=0.0, warmup=1, cooldown=0.5, rows_per_step=1)
    assert state.step == 10 and state.seconds == 60.0
    assert rates == pytest.approx([1.0] * 6 + [0.8, 0.6, 0.4, 0.2])


# --- what it says and where it stops ----------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_names_its_rows(tmp_path):
    def loss(model, rows):
        value, count = loss_of(model, rows)
        return (value * math.nan if any(r.name == "row 17" for r in rows) else value), count

    with pytest.raises(ToolagentError, match=r"the loss is nan at step \d+; rows of the batch: .*row 17\b.*Lower --lr"):
        run(tmp_path, loss)


def test_a_gradient_that_is_no_number_names_the_rows_of_the_step(tmp_path):
    """sqrt at 0: the loss is 0, its slope is not."""

    def loss(model, rows):
        value, count = loss_of(model, rows)
        return value + (model.inner.bias * 0).abs().sum().sqrt(), count

    with pytest.raises(ToolagentError, match=r"the gradient is no number at step 0; rows of the step: row \d+.* more\. Lower --lr"):
        run(tmp_path, loss)


def test_it_stops_when_validation_does_not_get_better_and_gives_back_the_best(tmp_path):
    losses = iter([3.0, 2.0, 2.5, 2.00001, 9.0, 9.0])
    seen = []

    def validate(model):
        seen.append(trained(model))
        return {"loss": next(losses)}

    said: list[str] = []
    model, state = run(tmp_path, validate=validate, patience=2, valid_every=3, epochs=9.0, say=said.append)
    assert len(seen) == 4 and state.step == 12 and state.best == 2.0 and state.worse == 2
    assert equal(trained(model), seen[1]) and not equal(trained(model), seen[3])
    assert "the validation loss has stopped falling" in said
    assert [("(best)" in s) for s in said if s.startswith("step ")] == [True, True, False, False]
    assert torch.load(tmp_path / "checkpoint.pt")["progress"]["step"] == 12  # the checkpoint goes on from the last step, not from the best
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["valid"]["loss"] for line in lines if "valid" in line] == [3.0, 2.0, 2.5, 2.00001]


def test_without_validation_the_last_weights_are_given(tmp_path):
    model, state = run(tmp_path)
    assert equal(trained(model), torch.load(tmp_path / "checkpoint.pt")["model"]) and not (tmp_path / "best.pt").exists()
    assert state.best == math.inf and state.rows >= 3.3 * 60 > state.rows - 8 - 6


def test_the_processor_is_left_as_it_was(tmp_path):
    """Numbers too small for the normal format are zero while it trains, for speed; not afterwards."""
    tiniest = []

    def loss(model, rows):
        tiniest.append((torch.tensor([1e-38]) / 1e5).item())
        return loss_of(model, rows)

    run(tmp_path, loss, epochs=0.5)
    assert (torch.tensor([1e-38]) / 1e5).item() > 0.0
    assert not any(tiniest) or not torch.set_flush_denormal(False)  # a processor that cannot does not


def test_a_step_takes_whole_batches_up_to_its_rows(tmp_path):
    taken = []

    def loss(model, rows):
        taken.append(len(rows))
        return loss_of(model, rows)

    _, state = run(tmp_path, loss, epochs=1.0)
    assert sum(taken) == state.rows and max(taken) <= 6
    assert state.rows / state.step < 8 + 6
