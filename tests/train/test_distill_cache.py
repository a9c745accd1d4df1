"""A teacher's answers on disk: what is kept is what the teacher says of each row by itself; what is known is not asked again, killed or not."""

import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small import family, model_of, rows_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import NoModel, ToolagentError, UsageError  # noqa: E402
from toolagent.train import teacher_cache  # noqa: E402
from toolagent.train.encode import Row  # noqa: E402
from toolagent.train.teacher_cache import Answers, Question, fill, fingerprint, outline, same_words  # noqa: E402

LENGTHS = (3, 5, 2, 4, 6, 1, 3, 2, 5, 4)
ALL = Question("t", "float32", 1.0, 300, 300)
FEW = Question("t", "float32", 2.0, 280, 7)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def filled(folder, question, rows, model=None, **more):
    """What was said and how often a teacher was loaded."""
    said, loads = [], []
    fill(folder, question, rows, lambda: [model or model_of("llama"), loads.append(1)][0], said.append, **{"most": 3} | more)
    return said, len(loads)


def alone(model, row):
    """Logits that predict the row's own answer, the row by itself: (U, V)."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.ids])).logits[0]
    return logits[[t - 1 for t in range(1, len(row.ids)) if row.learned[t] == 1]]


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_what_is_kept_is_what_the_teacher_says(kind, tmp_path):
    model = model_of(kind, **({"sliding_window": 8} if kind == "gemma2" else {}))
    rows = rows_of(6, LENGTHS)
    for name, question in (("all", ALL), ("few", FEW)):
        filled(tmp_path / name, question, rows, model)
    everything, few = Answers(tmp_path / "all"), Answers(tmp_path / "few")
    for row in rows:
        (log_probs,) = everything.of([row])
        logits = alone(model, row)
        assert log_probs.shape == logits.shape and torch.allclose(log_probs, logits.log_softmax(-1), atol=1e-4)
        kept, words = few.of([row])
        want = (logits[:, :280] / 2).log_softmax(-1)
        assert kept.shape == (len(logits), 7) and (kept.dtype, words.dtype) == (torch.float32, torch.int32)
        assert torch.allclose(kept, want.topk(7).values, atol=1e-4) and torch.allclose(kept, want.gather(1, words.long()), atol=1e-4)
    (both,) = everything.of([rows[4], rows[1]])
    assert torch.equal(both, torch.cat([everything.of([rows[4]])[0], everything.of([rows[1]])[0]])) and len(both) == 11


def test_many_places_are_asked_in_pieces(tmp_path, monkeypatch):
    rows = rows_of(6, LENGTHS)
    filled(tmp_path / "whole", FEW, rows)
    monkeypatch.setattr(teacher_cache.trie, "AT_ONCE", 4)
    filled(tmp_path / "pieces", FEW, rows)
    (a, b), (c, d) = Answers(tmp_path / "whole").of(rows), Answers(tmp_path / "pieces").of(rows)
    assert torch.allclose(a, c, atol=1e-5) and torch.equal(b, d)


def test_a_row_is_known_by_its_content(tmp_path):
    rows = rows_of(6, LENGTHS)
    said, loads = filled(tmp_path, ALL, [*rows, *rows])
    assert loads == 1 and said[0].startswith("teacher: 10 rows to ask; 300 of 300 words for 35 tokens take 42 kB in ")
    assert said[-1] == "teacher: 10 of 10 rows asked"
    renamed = [replace(row, name="x", group="y", head=3) for row in rows[::-1]]
    assert filled(tmp_path, ALL, renamed) == ([f"teacher: all its answers are in {tmp_path}"], 0)
    before = Answers(tmp_path).of(rows)[0]
    longer = replace(rows[0], ids=(*rows[0].ids, 9), learned=rows[0].learned + b"\1")
    less = replace(rows[1], learned=rows[1].learned[:-1] + b"\0")
    said, loads = filled(tmp_path, ALL, [*rows, longer, less])
    assert loads == 1 and said[0].startswith("teacher: 2 rows to ask")
    now = Answers(tmp_path)
    assert torch.equal(now.of(rows)[0], before) and len(now.of([longer])[0]) == 4 and len(now.of([less])[0]) == 4
    with pytest.raises(KeyError):
        now.of([replace(less, ids=less.ids[:-1], learned=less.learned[:-1])])


def test_each_question_has_its_folder(tmp_path):
    others = [replace(FEW, teacher="u"), replace(FEW, dtype="bfloat16"), replace(FEW, temperature=1.0), replace(FEW, words=281), replace(FEW, kept=8)]
    assert len({question.folder(tmp_path) for question in (FEW, *others)}) == 6
    assert replace(FEW).folder(tmp_path) == FEW.folder(tmp_path) and FEW.folder(tmp_path).parent == tmp_path


def test_the_fingerprint_is_that_of_the_weights(tmp_path):
    base, copy, other, adapter = (tmp_path / name for name in ("base", "copy", "other", "adapter"))
    model = model_of("llama", size=len(family("chatml")))
    models.save(model, family("chatml"), base, "template")
    shutil.copytree(base, copy)
    (copy / "dialect").write_text("compact\n")
    models.save(model_of("llama", size=len(family("chatml")), seed=1), family("chatml"), other, "template")
    models.save(models.with_lora(models.load(base)[0], 2, 4), family("chatml"), adapter, "template")
    assert fingerprint(base) == fingerprint(copy) and len({fingerprint(folder) for folder in (base, other, adapter)}) == 3
    before = fingerprint(adapter)
    shutil.copy(other / "model.safetensors", base / "model.safetensors")
    assert fingerprint(adapter) != before and fingerprint(base) == fingerprint(other)  # an adapter is what it is on its base
    assert outline(str(adapter))[1] == outline(str(base))[1] == len(family("chatml"))
    with pytest.raises(NoModel, match="no config.json"):
        fingerprint(tmp_path / "nowhere")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text(json.dumps({"model_type": "no such type"}))
    with pytest.raises(NoModel, match="broken cannot be loaded"):
        outline(str(tmp_path / "broken"))


# --- killed on the way ------------------------------------------------------------------------------------------------------------------

KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, {tests!r})
import torch
from small import model_of, rows_of
from toolagent.train import checkpoint
from toolagent.train.teacher_cache import Question, fill
torch.set_num_threads(1)
saves, whole = 0, torch.save
def save(value, path):
    global saves
    saves += 1
    whole(value, path)
    if saves == 3:
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.torch.save = save
fill(pathlib.Path({folder!r}), Question("t", "float32", 2.0, 280, 7), rows_of(6, {lengths!r}), lambda: model_of("llama"), print, most=3, shard=1)
"""


def test_killed_half_way_through_a_shard(tmp_path):
    """10 rows in 4 batches, a shard each; the kill comes in the third."""
    rows = rows_of(6, LENGTHS)
    filled(tmp_path / "whole", FEW, rows, shard=1)
    killed = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "cut"), lengths=LENGTHS)
    assert subprocess.run([sys.executable, "-c", killed], capture_output=True, cwd=Path(__file__).parents[2]).returncode == -9
    assert len(list((tmp_path / "cut").glob("*.pt"))) == 2
    known = len(Answers(tmp_path / "cut").at)
    said, loads = filled(tmp_path / "cut", FEW, rows, shard=1)
    assert loads == 1 and said[0].startswith(f"teacher: {10 - known} rows to ask") and 2 <= known <= 6
    assert all(torch.equal(a, b) for a, b in zip(Answers(tmp_path / "whole").of(rows), Answers(tmp_path / "cut").of(rows), strict=True))
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert filled(tmp_path / "cut", FEW, rows)[1] == 0


def test_interrupted_by_the_keyboard(tmp_path, monkeypatch):
    rows, plain, calls = rows_of(6, LENGTHS), teacher_cache.asked, []

    def asked(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(*given)

    monkeypatch.setattr(teacher_cache, "asked", asked)
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, ALL, rows, shard=1)
    assert filled(tmp_path, ALL, rows, shard=1)[1] == 1 and len(calls) == 5  # 2 and 2 batches, and the one that was not answered
    assert len(Answers(tmp_path).at) == 10


def test_a_shard_that_cannot_be_read(tmp_path):
    filled(tmp_path, ALL, rows_of(6, (2, 3)))
    (shard,) = tmp_path.glob("*.pt")
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(ToolagentError, match=f"{shard.name} cannot be read .*delete it"):
        Answers(tmp_path)
    shard.write_bytes(b"")
    with pytest.raises(ToolagentError, match="cannot be read"):
        filled(tmp_path, ALL, rows_of(6, (2, 3)))
    torch.save([1], shard)
    with pytest.raises(ToolagentError, match="cannot be read"):
        Answers(tmp_path)
    shard.unlink()
    assert filled(tmp_path, ALL, rows_of(6, (2, 3)))[1] == 1


def test_too_little_disk_or_memory(tmp_path, monkeypatch):
    rows = rows_of(6, LENGTHS)

    def full(*given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 41_000, 41_000))
        with pytest.raises(UsageError, match=r"300 of 300 words for 35 tokens take 42 kB, and .* has 41 kB left; keep fewer with --top-k"):
            filled(tmp_path, ALL, rows)
        filled(tmp_path / "few", FEW, rows)
    monkeypatch.setattr(teacher_cache, "asked", full)
    with pytest.raises(ToolagentError, match=r"ran out of memory; 0 rows are kept. Lower --batch-tokens \(now 512\)"):
        filled(tmp_path, ALL, rows, budget=512)


# --- tokenizers -------------------------------------------------------------------------------------------------------------------------


def test_a_foreign_tokenizer_is_refused():
    student, rows = family("chatml"), [Row(tuple(family("chatml")("Ana asks")["input_ids"]), b"", "row 7")]
    same_words(student, family("chatml"), rows)
    with pytest.raises(UsageError, match=r"another tokenizer \(260 words here, 261 there, 5 differ\): '<\|end_header_id\|>' is no word here and 259"):
        same_words(student, family("llama3"), rows)
    lower = family("chatml")
    from tokenizers import normalizers

    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(UsageError, match=r"splits text otherwise: \['A', 'n', 'a'\] here, \['a', 'n', 'a'\] there \(row row 7\)"):
        same_words(student, lower, rows)


def test_keys_do_not_run_into_each_other():
    rng = random.Random(0)
    rows = [Row(tuple(rng.randrange(3) for _ in range(n)), bytes(rng.randrange(2) for _ in range(n))) for n in (2, 3) for _ in range(200)]
    assert len({row.key for row in rows}) == len({(row.ids, row.learned) for row in rows})
