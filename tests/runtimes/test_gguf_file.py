"""A damaged, cut or foreign file is one sentence, never a crash."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from toolagent.errors import NoModel
from toolagent.runtimes import gguf_file

STRING, UINT = 8, 4


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values))


PAIRS = {  # key -> (type, bytes)
    "general.architecture": (STRING, text("llama")),
    "llama.block_count": (UINT, struct.pack("<I", 2)),
    "tokenizer.ggml.tokens": (9, strings(["a", "b", "c"])),
    "tokenizer.ggml.token_type": (9, struct.pack("<IQ3i", 5, 3, 1, 1, 1)),
    "tokenizer.ggml.eos_token_id": (UINT, struct.pack("<I", 2)),
}
TENSORS = {"one": ((4, 2), 0, 0), "two": ((4,), 0, 32)}  # name -> (shape, type F32, offset); 32 bytes, then 16


def gguf(pairs=None, tensors=None, version=3, size=48, counts=None, magic=b"GGUF"):
    pairs, tensors = PAIRS | (pairs or {}), TENSORS if tensors is None else tensors
    pairs = {k: v for k, v in pairs.items() if v}
    out = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs))))
    out += b"".join(text(k) + struct.pack("<I", kind) + raw for k, (kind, raw) in pairs.items())
    for name, (shape, kind, offset) in tensors.items():
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    return out + bytes(-len(out) % 32 + size)


def refusal(tmp_path, data):
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(NoModel) as caught:
        gguf_file.check(path)
    sentence = str(caught.value)
    assert sentence.isprintable() and str(path) in sentence
    return sentence.removeprefix(str(path))


def test_the_toy_is_whole(tmp_path):
    (tmp_path / "m.gguf").write_bytes(gguf())
    gguf_file.check(tmp_path / "m.gguf")
    (tmp_path / "m.gguf").write_bytes(gguf(version=2))
    gguf_file.check(tmp_path / "m.gguf")


DAMAGED = " is damaged, or no GGUF of a known version: "


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", " is no GGUF file: it is empty"),
        (b"GGUF", DAMAGED + "it ends in the middle of its header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), " is no GGUF file"),
        (gguf(magic=b"FUGG"), " is no GGUF file"),
        (gguf(version=1), DAMAGED + "its version is 1; 2 and 3 are known"),
        (gguf(version=0x03000000), DAMAGED + "its version is 50331648; 2 and 3 are known"),  # big endian
        (gguf(counts=(2**63, 5)), DAMAGED + f"it says that it holds {2**63} tensors"),
        (gguf(counts=(2, 900_000)), DAMAGED + "it says that it holds 2 tensors and 900000 keys"),
        (gguf(counts=(2, 6)), None),
        (gguf(counts=(3, 5)), None),
        (gguf(size=47), DAMAGED + "its tensors reach beyond its end"),
        (gguf({"general.architecture": None}), DAMAGED + "it names no architecture"),
        (gguf({"general.architecture": (UINT, struct.pack("<I", 1))}), DAMAGED + "it names no architecture"),
        (gguf({"general.type": (STRING, text("adapter"))}), DAMAGED + "it holds no model but: adapter"),
        (gguf({"general.alignment": (UINT, struct.pack("<I", 0))}), DAMAGED + "its alignment is 0"),
        (gguf({"general.alignment": (UINT, struct.pack("<I", 24))}), DAMAGED + "its alignment is 24"),
        (gguf({"x": (13, b"")}), DAMAGED + "a value in it is of the unknown type 13"),
        (gguf({"x": (9, struct.pack("<IQ", 9, 1))}), DAMAGED + "a list in it is of the unknown type 9"),
        (gguf({"x": (9, struct.pack("<IQ", 10, 2**61))}), DAMAGED + f"it says that it holds {2**61} entries of a list"),
        (gguf({"x": (STRING, struct.pack("<Q", 2**40))}), DAMAGED + f"it says that it holds {2**40} letters of a text"),
        (gguf({"x": (STRING, struct.pack("<Q", 1) + b"\xff")}), DAMAGED + "a text in it is no UTF-8"),
        (gguf({"llama.block_count": (UINT, struct.pack("<I", 0))}), DAMAGED + "its block count is 0"),
        (gguf({"llama.block_count": (STRING, text("two"))}), DAMAGED + "its block count is two"),
        (
            gguf({"llama.attention.layer_norm_rms_epsilon": (6, struct.pack("<f", -1))}),
            DAMAGED + "its attention.layer norm rms epsilon is -1.0",
        ),
        (gguf({"llama.attention.layer_norm_rms_epsilon": (6, b"\0\0\xc0\x7f")}), DAMAGED + "its attention.layer norm rms epsilon is nan"),
        (gguf({"tokenizer.ggml.tokens": None}), DAMAGED + "it has no vocabulary"),
        (gguf({"tokenizer.ggml.tokens": (9, strings("aba"))}), DAMAGED + "two tokens of its vocabulary are the same"),
        (gguf({"tokenizer.ggml.tokens": (9, strings("abcd"))}), DAMAGED + "its vocabulary has 4 tokens, but its token_type does not"),
        (gguf({"tokenizer.ggml.eos_token_id": (UINT, struct.pack("<I", 3))}), DAMAGED + "its eos_token_id is 3, of 3 tokens"),
        (gguf(tensors={"one": ((4,) * 5, 0, 0)}), DAMAGED + "the tensor 'one' has 5 dimensions"),
        (gguf(tensors={"one": ((4, 0), 0, 0)}), DAMAGED + "the tensor 'one' has the impossible shape [4, 0]"),
        (gguf(tensors={"one": ((2**40, 2**40), 0, 0)}), DAMAGED + f"the tensor 'one' has the impossible shape [{2**40}, {2**40}]"),
        (gguf(tensors={"one": ((4, 2), 8, 0)}), DAMAGED + "the tensor 'one' has the impossible shape [4, 2]"),  # Q8_0 packs 32
        (gguf(tensors={"one": ((4, 2), 99, 0)}), DAMAGED + "the tensor 'one' is of the unknown type 99"),
        (gguf(tensors={"one": ((4, 2), 0, 32)}), DAMAGED + "the tensor 'one' does not lie where the one before it ends"),
        (gguf(tensors={"n" * 64: ((4, 2), 0, 0)}), DAMAGED + "a name in it has 64 letters"),
    ],
)
def test_each_fault_is_named(tmp_path, data, why):
    sentence = refusal(tmp_path, data)
    assert why is None or sentence == why


def test_two_of_one_name(tmp_path):
    name = text("one")
    data = gguf()
    assert "the tensor 'one' stands in it twice" in refusal(tmp_path, data.replace(text("two"), name))
    assert "the key 'general.architecture' stands in it twice" in refusal(
        tmp_path, data.replace(text("tokenizer.ggml.tokens"), text("general.architecture"), 1)
    )


def test_what_is_no_file(tmp_path):
    with pytest.raises(NoModel, match="no model at .*none.gguf: No such file or directory. Give --model FILE.gguf or a bundle directory"):
        gguf_file.check(tmp_path / "none.gguf")
    with pytest.raises(NoModel, match="no model at .*: Is a directory"):
        gguf_file.check(tmp_path)


def test_a_real_file_cut_anywhere(tiny, tmp_path):
    data = (tiny / "bundle" / "model.gguf").read_bytes()
    for n in (1, 3, 4, 23, 24, 100, 5_000, 40_000, len(data) // 2, len(data) - 1):
        refusal(tmp_path, data[:n])


def test_300_spoiled_headers_end_no_process(tiny, tmp_path):
    """In a process of its own with 4 GiB: whatever is wrong is a NoModel of one line; what is harmless runs."""
    pytest.importorskip("llama_cpp")
    shutil.copy(tiny / "bundle" / "model.gguf", tmp_path)
    script = Path(__file__).with_name("mutate.py")
    done = subprocess.run([sys.executable, script, tmp_path / "model.gguf", "300", "1"], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == 300 and counts["refused"] > 150 and counts["ran"] > 20
