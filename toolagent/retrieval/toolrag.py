"""request -> the few tools worth showing, by BM25 over names, descriptions and argument names.

A pack of at most SHOW_ALL tools is shown whole: a small prompt that never changes is computed once. From larger ones the best TOP that
share a word with the request are shown (none may), and for each of them the tools whose result one of its arguments needs.
Left out: embeddings, learned fusion, an index on disk.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from toolagent.types import ToolSpec

SHOW_ALL = 24
TOP = 10
K1, B = 1.2, 0.75  # Robertson's usual values


def terms(text: str) -> list[str]:
    """Lower-case words, camelCase and snake_case split, a plural "s" dropped."""
    parts = re.findall(r"\w+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text).lower())
    return [p[:-1] if len(p) > 3 and p.endswith("s") and not p.endswith("ss") else p for p in parts]


def document(spec: ToolSpec) -> list[str]:
    described = " ".join(str(s.get("description", "")) for s in spec.properties.values() if isinstance(s, dict))
    return terms(f"{spec.name} {spec.name} {spec.description} {' '.join(spec.properties)} {described}")


def rank(request: str, tools: Sequence[ToolSpec]) -> list[tuple[float, ToolSpec]]:
    """(BM25 score, tool), best first; equal scores in the tools' order."""
    documents = [Counter(document(t)) for t in tools]
    mean = sum(sum(d.values()) for d in documents) / max(len(documents), 1)
    frequency = Counter(term for d in documents for term in d)
    scores = []
    for spec, words in zip(tools, documents, strict=True):
        length = sum(words.values())
        score = 0.0
        for term in set(terms(request)):
            if n := words[term]:
                idf = math.log(1 + (len(tools) - frequency[term] + 0.5) / (frequency[term] + 0.5))
                score += idf * n * (K1 + 1) / (n + K1 * (1 - B + B * length / mean))
        scores.append((score, spec))
    return sorted(scores, key=lambda pair: -pair[0])


def kinds(spec: ToolSpec) -> set[str]:
    """The kinds ("email", "path" ...) that its arguments take."""
    found = set()
    for schema in spec.properties.values():
        inner = schema.get("items", schema) if isinstance(schema, dict) else {}
        if isinstance(inner, dict) and inner.get("format"):
            found.add(str(inner["format"]))
    return found


def retrieve(request: str, tools: Sequence[ToolSpec], show_all: int = SHOW_ALL, top: int = TOP) -> tuple[ToolSpec, ...]:
    """The tools to show, in their own order."""
    if len(tools) <= show_all:
        return tuple(tools)
    chosen = {spec.name for score, spec in rank(request, tools)[:top] if score > 0}
    wanted = set().union(*(kinds(t) for t in tools if t.name in chosen)) - {"text", "name", "date-time"}
    chosen |= {t.name for t in tools if (t.returns or {}).get("format") in wanted}
    return tuple(t for t in tools if t.name in chosen)
