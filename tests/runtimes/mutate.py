"""Spoils the header of a GGUF in N ways and shows each to the runtime: python mutate.py FILE N SEED -> counts as JSON, or a crash."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import random
import resource
import sys

os.environ["GGML_NO_BACKTRACE"] = "1"  # else llama.cpp calls a debugger before it aborts

from toolagent.errors import NoModel
from toolagent.runtimes import gguf_file
from toolagent.runtimes.llamacpp import Weights

ODD = (0, 1, 2, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


class Spy(gguf_file.Header):
    """Notes where the long lists lie: the vocabulary is most of a header, but seldom what breaks a reader."""

    def __init__(self, data):
        super().__init__(data)
        self.lists = []

    def value(self, kind):
        at = self.at
        value = super().value(kind)
        if isinstance(value, tuple) and value[1] > 100:
            self.lists.append(range(at + 12, self.at))
        return value


def mutated(data: bytes, spots: list[int], end: int, rng: random.Random) -> bytes:
    if rng.random() < 0.08:
        return data[: rng.randrange(len(data))]
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.choice(spots) if rng.random() < 0.8 else rng.randrange(end)
        match rng.randrange(5):
            case 0:
                made[at] = rng.randrange(256)
            case 1:
                made[at] ^= 1 << rng.randrange(8)
            case 2:
                n = rng.choice((4, 8))
                made[at : at + n] = (rng.choice(ODD) % (1 << (8 * n))).to_bytes(n, "little")
            case 3:
                del made[at : at + rng.randrange(1, 9)]
            case 4:
                made[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(made)


def main(source: pathlib.Path, n: int, seed: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    data = source.read_bytes()
    spy = Spy(data)
    gguf_file.walk(spy)
    spots = [i for i in range(spy.at) if not any(i in r for r in spy.lists)]
    path = source.with_name("mutated.gguf")
    counts: collections.Counter[str] = collections.Counter()
    for k in range(n):
        path.write_bytes(mutated(data, spots, spy.at, random.Random(f"{seed}:{k}")))
        print(f"{seed}:{k}", file=sys.stderr, flush=True)  # the last line before a crash
        try:
            weights = Weights(path, context=256, n_threads=1)
            weights.prompt(weights.tokens("text Ana that lunch moved"))
            weights.logits().argmax()
            weights.close()
            counts["ran"] += 1
        except NoModel as error:
            counts["refused" if "damaged, or" in str(error) or "no GGUF" in str(error) else "refused by llama.cpp"] += 1
            assert "\n" not in str(error) and str(error).isprintable(), str(error)
    print(json.dumps(counts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
