"""Generated tests never measure time: a busy machine is no failure. The same examples every time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("toolagent", deadline=None, derandomize=True, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("toolagent")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with a compact model of 2 layers and random weights, and a tokenizer trained on 300 synthesized rows of the default pack:
    rows.jsonl, model/ (as `train` saves it), bundle/model.gguf (F32)."""
    torch = pytest.importorskip("torch")
    from toolagent import model as models
    from toolagent.datagen import synthesize
    from toolagent.export import gguf
    from toolagent.toolbox import default_pack_path, load_pack
    from toolagent.train.sft import new_tokenizer

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    pack = load_pack(default_pack_path())
    world = synthesize.load_world([tool.spec for tool in pack.tools], pack.rules)
    (folder / "rows.jsonl").write_text("".join(line for line, _ in synthesize.rows(world, 300, seed=7, workers=1)), "utf-8")
    tokenizer = new_tokenizer([folder / "rows.jsonl"], 1200)
    model = models.make(models.Shape(width=64, layers=2, heads=4, kv_heads=2, hidden=96, context=2048), tokenizer, seed=3)
    with torch.no_grad():
        for p in model.parameters():
            p *= 4 if p.ndim == 2 else 1  # as they are made, all logits are nearly the same
    models.save(model, tokenizer, folder / "model", "compact")
    gguf.write(model, tokenizer, folder / "bundle" / "model.gguf", "f32", "compact")
    return folder
