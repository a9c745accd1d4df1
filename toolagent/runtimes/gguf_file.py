"""Is this a whole GGUF that llama.cpp may be shown? Its header is walked with bounds first: llama.cpp aborts on some damaged files.

check(path) -> None, or NoModel with one sentence. Every count, size, type and offset of the format is checked, and those figures of the
model that llama.cpp takes on trust. Reads the header only, with the standard library. Left out: the weights themselves, files in several
parts, big endian.
"""

from __future__ import annotations

import math
import mmap
import pathlib
import struct
from typing import Any

from toolagent.errors import NoModel

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}  # GGUF's value types, little endian
STRING, ARRAY = 8, 9
BLOCKS = {  # ggml's tensor types -> (weights in a block, bytes of a block)
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50),
    20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56),
    30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
MOST = 1_000_000  # entries of a list, which a vocabulary does not reach; tensors; keys
FIGURES = {  # keys behind "ARCHITECTURE." -> least and most that llama.cpp survives
    "block_count": (1, 512), "embedding_length": (1, 1 << 20), "feed_forward_length": (0, 1 << 24), "context_length": (1, 1 << 31),
    "attention.head_count": (1, 1 << 14), "attention.head_count_kv": (1, 1 << 14), "attention.key_length": (1, 1 << 16),
    "attention.value_length": (1, 1 << 16), "rope.dimension_count": (0, 1 << 16), "attention.layer_norm_rms_epsilon": (0.0, 1.0),
    "attention.layer_norm_epsilon": (0.0, 1.0), "expert_count": (0, 512), "expert_used_count": (0, 512), "vocab_size": (1, MOST),
}  # fmt: skip


class Damaged(Exception):
    pass


class Header:
    """Bytes with a place in them."""

    def __init__(self, data: Any) -> None:
        self.data, self.at, self.size = data, 0, len(data)

    def take(self, form: str) -> Any:
        n = struct.calcsize("<" + form)
        if self.at + n > self.size:
            raise Damaged("it ends in the middle of its header")
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += n
        return value

    def count(self, least_bytes: int, what: str) -> int:
        """A 64-bit count of things that each take so many bytes at least."""
        n = int(self.take("Q"))
        if n > MOST or n * least_bytes > self.size - self.at:
            raise Damaged(f"it says that it holds {n} {what}")
        return n

    def text(self, most: int = 1 << 30) -> str:
        n = self.count(1, "letters of a text")
        if n > most:
            raise Damaged(f"a name in it has {n} letters")
        raw = self.data[self.at : self.at + n]
        self.at += n
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise Damaged("a text in it is no UTF-8") from error

    def value(self, kind: int) -> Any:
        """A scalar, a text, or (kind of the items, how many, how many different texts) of a list."""
        if kind in SCALARS:
            return self.take(SCALARS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            raise Damaged(f"a value in it is of the unknown type {kind}")
        inner = self.take("I")
        if inner in SCALARS:
            size = struct.calcsize("<" + SCALARS[inner])
            n = self.count(size, "entries of a list")
            self.at += n * size
            return inner, n, 0
        if inner != STRING:
            raise Damaged(f"a list in it is of the unknown type {inner}")
        n = self.count(8, "entries of a list")
        return inner, n, len({self.text() for _ in range(n)})


def check(path: pathlib.Path) -> None:
    """Raises NoModel: no file, another format, damaged."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise NoModel(f"{path} is no GGUF file")
            walk(Header(data))
    except OSError as error:
        raise NoModel(f"no model at {path}: {error.strerror}. Give --model FILE.gguf or a bundle directory") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise NoModel(f"{path} is no GGUF file: it is empty") from error
    except Damaged as error:
        raise NoModel(f"{path} is damaged, or no GGUF of a known version: {error}") from error


def walk(header: Header) -> None:
    """Raises Damaged."""
    header.at = 4
    if (version := header.take("I")) not in (2, 3):
        raise Damaged(f"its version is {version}; 2 and 3 are known")
    tensors, pairs = header.count(0, "tensors"), header.count(0, "keys")
    if tensors * 24 + pairs * 12 > header.size:
        raise Damaged(f"it says that it holds {tensors} tensors and {pairs} keys")
    values: dict[str, Any] = {}
    kinds: dict[str, int] = {}
    for _ in range(pairs):
        key = header.text(1 << 16)
        if key in values or not key:
            raise Damaged(f"the key {key[:80]!r} stands in it twice, or is empty")
        kinds[key] = header.take("I")
        values[key] = header.value(kinds[key])
    check_figures(values, kinds)
    alignment = values.get("general.alignment", 32)
    place, end, names = 0, 0, set()
    for _ in range(tensors):
        name = header.text(63)  # GGML_MAX_NAME, less its end
        if name in names:
            raise Damaged(f"the tensor {name!r} stands in it twice")
        names.add(name)
        rank = header.take("I")
        if not 1 <= rank <= 4:
            raise Damaged(f"the tensor {name!r} has {rank} dimensions")
        shape = [header.take("Q") for _ in range(rank)]
        kind, offset = header.take("I"), header.take("Q")
        if kind not in BLOCKS:
            raise Damaged(f"the tensor {name!r} is of the unknown type {kind}")
        weights, size = BLOCKS[kind]
        if not all(0 < n < 1 << 31 for n in shape) or shape[0] % weights:
            raise Damaged(f"the tensor {name!r} has the impossible shape {shape}")
        if offset != place:
            raise Damaged(f"the tensor {name!r} does not lie where the one before it ends")
        end = place + math.prod(shape) // weights * size
        place = rounded(end, alignment)
    if rounded(header.at, alignment) + end > header.size:
        raise Damaged("its tensors reach beyond its end")


def rounded(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment


def check_figures(values: dict[str, Any], kinds: dict[str, int]) -> None:
    """What llama.cpp divides by, loops over or asserts. Raises Damaged."""
    alignment = values.get("general.alignment", 32)
    if kinds.get("general.alignment", 4) != 4 or not 1 <= alignment <= 1 << 16 or alignment & (alignment - 1):
        raise Damaged(f"its alignment is {alignment}")
    architecture = values.get("general.architecture")
    if kinds.get("general.architecture") != STRING or not architecture:
        raise Damaged("it names no architecture")
    if values.get("general.type", "model") != "model":
        raise Damaged(f"it holds no model but: {values['general.type']}")
    for name, (least, most) in FIGURES.items():
        value = values.get(f"{architecture}.{name}", least)
        if isinstance(value, tuple):
            continue  # one figure a layer
        if not isinstance(value, (int, float)) or not least <= value <= most:
            raise Damaged(f"its {name.replace('_', ' ')} is {value}")
    tokens = values.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, tuple) or tokens[0] != STRING or tokens[1] < 1:
        raise Damaged("it has no vocabulary")
    if tokens[1] != tokens[2]:
        raise Damaged("two tokens of its vocabulary are the same")
    for key, kind in (("token_type", 5), ("scores", 6)):
        if values.get(f"tokenizer.ggml.{key}", (kind, tokens[1], 0)) != (kind, tokens[1], 0):
            raise Damaged(f"its vocabulary has {tokens[1]} tokens, but its {key} does not")
    for key, value in values.items():
        if key.startswith("tokenizer.ggml.") and key.endswith("_token_id") and not 0 <= value < tokens[1]:
            raise Damaged(f"its {key.removeprefix('tokenizer.ggml.')} is {value}, of {tokens[1]} tokens")
