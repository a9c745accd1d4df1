"""Where memory runs out: a real allocation that no machine can make, and what is said about it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from toy import ARGS, Toy, batches_of, loss_of, rows_of, validate_of  # noqa: E402

from toolagent.errors import ToolagentError  # noqa: E402
from toolagent.train import checkpoint, memory  # noqa: E402
from toolagent.train.loop import fit  # noqa: E402
from toolagent.train.sft import Args  # noqa: E402

HUGE = 4 * 10**14  # bytes: more than an address space holds


def torch_runs_out():
    torch.empty(HUGE, dtype=torch.uint8)


def python_runs_out():
    bytearray(HUGE)


def a_gpu_runs_out():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.19 GiB of which ...")


def out_of_memory_at(call, runs_out):
    calls = 0

    def loss(model, rows):
        nonlocal calls
        calls += 1
        if calls == call:
            runs_out()
        return loss_of(model, rows)

    return loss


def quiet(text):
    pass


@pytest.mark.parametrize(
    "runs_out, wanted", [(torch_runs_out, ", for 400 TB more"), (python_runs_out, ""), (a_gpu_runs_out, ", for 2.7 GB more")]
)
def test_the_error_names_the_settings_and_the_checkpoint_stays_whole(tmp_path, runs_out, wanted):
    args = replace(Args(model="base"), **(vars(ARGS) | {"processes": 1}))
    with pytest.raises(ToolagentError) as error:
        fit(Toy(), batches_of(rows_of()), out_of_memory_at(14, runs_out), args, tmp_path, say=quiet)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["progress"]["step"] == 4 and sorted(p.name for p in tmp_path.glob("*.tmp")) == []
    assert type(error.value) is ToolagentError and str(error.value) == (
        f"out of memory at step 5{wanted}. Any of these helps: lower --batch-tokens (now 4096), lower --batch-rows (now 48), "
        f"lower --context (now 2048), train a LoRA (--lora 16) instead of all weights. {tmp_path / 'checkpoint.pt'} is whole: "
        "go on with --resume"
    )
    went_on = Toy()
    fit(went_on, batches_of(rows_of()), loss_of, args, tmp_path, say=quiet, resume=True)
    whole = Toy()
    fit(whole, batches_of(rows_of()), loss_of, args, tmp_path / "whole", say=quiet)
    assert all(torch.equal(a, b) for a, b in zip(went_on.parameters(), whole.parameters(), strict=True))


def test_what_a_trainer_does_not_have_is_not_named(tmp_path):
    with pytest.raises(ToolagentError, match="^out of memory at step 0.*: smaller batches, a smaller model$"):
        fit(Toy(), batches_of(rows_of()), out_of_memory_at(1, python_runs_out), ARGS, tmp_path, say=quiet)
    with_lora = memory.advice(MemoryError(), Args(model="base", lora=8, processes=2), 3, None)
    assert "LoRA" not in with_lora and "smaller model" not in with_lora and with_lora.endswith("lower --processes (now 2): each holds the model")
    assert "make a smaller model (--width, --layers)" in memory.advice(MemoryError(), Args(from_scratch=True), 3, None)


def test_memory_that_runs_out_in_validation_and_while_saving(tmp_path, monkeypatch):
    with pytest.raises(ToolagentError, match="out of memory at step 6"):
        fit(Toy(), batches_of(rows_of()), loss_of, ARGS, tmp_path, validate=lambda model: torch_runs_out(), say=quiet)
    monkeypatch.setattr(checkpoint.torch, "save", lambda value, path: torch_runs_out())
    with pytest.raises(ToolagentError, match="out of memory at step 4"):  # and not: is the disk full?
        fit(Toy(), batches_of(rows_of()), loss_of, ARGS, tmp_path, validate=validate_of(rows_of(9)), say=quiet)


def test_another_fault_stays_what_it_is(tmp_path):
    def loss(model, rows):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1") as error:
        fit(Toy(), batches_of(rows_of()), loss, ARGS, tmp_path, say=quiet)
    assert not memory.ran_out(error.value) and not memory.ran_out(ValueError("out of memory"))
    assert memory.ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))


def test_the_peak_grows_with_what_is_held():
    before = memory.peak()
    held = bytearray(random.Random(1).randbytes(1)) * (before + 50_000_000)  # more than was ever held
    assert memory.peak() >= before + 50_000_000 and len(held) > before


@pytest.mark.parametrize(
    "count, words", [(900, "1 kB"), (1.5e6, "1.5 MB"), (999e6, "999 MB"), (1.72e9, "1.7 GB"), (128e9, "128 GB"), (4e14, "400 TB")]
)
def test_sizes_in_words(count, words):
    assert memory.size(count) == words
