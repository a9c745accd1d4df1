"""Settings as YAML: every key counts, once; and the settings that a record holds start the same run."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import pytest

torch = pytest.importorskip("torch")

from toolagent.commands.settings import fields_of, gathered  # noqa: E402
from toolagent.errors import DataError  # noqa: E402
from toolagent.model import Shape  # noqa: E402
from toolagent.train import record, sft  # noqa: E402

PAGE = "toolagent.train.sft"


def args_of(settings):
    shape = settings.pop("shape", {})
    return sft.Args(**settings, shape=Shape(**shape))


def of(tmp_path, text, **given):
    path = tmp_path / "sft.yaml"
    path.write_text(text, "utf-8")
    return gathered(PAGE, str(path), given)


def test_a_key_of_its_own_outweighs_the_name_that_two_fields_share_and_a_flag_both(tmp_path):
    text = "shape: {context: 256, layers: 3}\ncontext: 512\n"
    assert of(tmp_path, text) == {"context": 512, "shape": {"context": 256, "layers": 3}}
    assert of(tmp_path, "context: 512\n") == {"context": 512, "shape": {"context": 512}}
    assert of(tmp_path, "shape.context: 64\n") == {"shape": {"context": 64}}
    assert of(tmp_path, text, context=32, layers=None, data=()) == {"context": 32, "shape": {"context": 32, "layers": 3}}


def test_a_value_is_what_its_field_wants(tmp_path):
    text = "lr: 2e-5\nepochs: 4\nbatch-tokens: 64\ndata:\n  - a.jsonl\n  - b.jsonl\nvalid: v.jsonl\nresume: true\nmodel: base\n"
    found = of(tmp_path, text)
    assert found == {"lr": 2e-5, "epochs": 4.0, "batch_tokens": 64, "data": ("a.jsonl", "b.jsonl"), "valid": ("v.jsonl",), "resume": True,
                     "model": "base"}  # fmt: skip
    assert type(found["epochs"]) is float


@pytest.mark.parametrize(
    "text, says",
    [
        ("lr: 1\n\nlr: 2\n", "yaml:3: 'lr' is said twice; first in line 1"),
        ("batch-tokens: 1\nbatch_tokens: 2\n", "yaml:2: 'batch_tokens' is said twice; first in line 1"),
        ("shape:\n  width: 32\nshape.width: 64\n", "'shape.width' is said twice; first in line 3"),
        ("lr: 1\nshape:\n  widht: 32\n", "yaml:3: unknown key 'shape.widht'; nearest: \"width\""),
        ("shape: 3\n", "yaml:1: shape must hold settings of its own (width, layers, "),
        ("shape:\n  width: x\n", "yaml:2: shape.width must be a whole number, not 'x'"),
        ("lr: {a: 1}\n", "yaml:1: lr must be a number, not {'a': 1}"),
        ("lr: .nan\n", "lr must be a number, not nan"),
        ("lr: .inf\n", "lr must be a number, not inf"),
        ("lr: yes\n", "lr must be a number, not True"),
        ("lr:\n", "lr must be a number, not None"),
        ("warmup: true\n", "warmup must be a whole number, not True"),
        ("model: 3\n", "model must be a text, not 3"),
        ("resume: 1\n", "resume must be true or false, not 1"),
        ("out: 2026-13-45\n", "month must be in 1..12"),
        ("lr: &x {b: *x}\n", "recursive node"),
        ("? [a]\n: 1\n", "yaml:1: unknown key"),
        ("", "must be settings, one 'key: value' a line"),
        ("lr: !!python/object:os.system {}\n", "could not determine a constructor"),
    ],
)
def test_what_is_not_a_setting_is_said_with_its_line(tmp_path, text, says):
    with pytest.raises(DataError) as error:
        of(tmp_path, text)
    assert says in str(error.value) and str(error.value).startswith(str(tmp_path / "sft.yaml"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none\.yaml: No such file"):
        gathered(PAGE, str(tmp_path / "none.yaml"), {})


def test_the_settings_in_a_record_are_a_configuration_of_the_same_run(tmp_path):
    """Every field with a value that is not its default, drawn at random, through out/record.json and --config and back."""
    rng = random.Random()
    data = tmp_path / "rows.jsonl"
    data.write_text("{}\n")
    drawn = {"int": lambda: rng.randrange(2, 99), "float": lambda: rng.choice((1, 10**-9, 10**9)) * rng.random(), "str": lambda: f"a {rng.random()}",
             "tuple[str, ...]": lambda: (str(data),)}  # fmt: skip
    plain = sft.Args()
    changed = {}
    for field in fields_of(PAGE, "Args"):
        if len(field.path) == 1:
            changed[field.name] = not field.default if field.kind == "bool" else drawn[field.kind]()
    args = replace(plain, **changed, shape=Shape(width=64, layers=3, heads=2, kv_heads=1, hidden=96, vocabulary=700, context=333))
    assert all(asdict(args)[name] != value for name, value in asdict(plain).items()), changed
    record.write(tmp_path, args)
    config = json.loads((tmp_path / "record.json").read_text("utf-8"))["config"]
    (tmp_path / "again.yaml").write_text(json.dumps(config, indent=1), "utf-8")  # JSON is YAML
    assert args_of(gathered(PAGE, str(tmp_path / "again.yaml"), {})) == args, changed
