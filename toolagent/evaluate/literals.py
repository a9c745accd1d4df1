"""Java and JavaScript source text -> the Python value that BFCL compares: 'new int[]{1, 2}' with type Array of integer -> [1, 2].

No parser of either language, but BFCL's own reading of it (version 4), kept in its oddities so that verdicts agree: a list is cut at
every comma, even inside a string or a nested call; a number is of its type only in one spelling (a Java long ends in L, a float in f);
String and char keep their quotes in Java. Text that is not of the type comes back as it is, and then fails as text where a number
is wanted. Learned from its answers to some thousand literals, not from its code.

Left out, because the data have none: Java's Set, Queue, Stack, Hashtable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# "-2", "1.5", "1e5"; `match` with a closing "$" lets one newline stand at the end
WHOLE = r"-?\d+"
DECIMAL = r"-?\d+(\.\d+)?"
SCIENTIFIC = rf"{DECIMAL}([eE][+-]?\d+)?"

JAVA_LIST = r"new\s+ArrayList<\w*>"
JAVA_MAP = r"new\s+HashMap<.*?>\s*\(\)"

Convert = Callable[[str], Any]


def java(text: str, kind: str, items: str | None = None) -> Any:
    """The value of a Java expression of type `kind`, a list's items being of type `items`."""
    match kind:
        case "byte" | "short" | "integer":
            return int(text) if re.match(rf"{WHOLE}$", text) else text
        case "long":
            return int(text[:-1]) if re.match(rf"{WHOLE}[lL]$", text) else text
        case "float":
            return float(text.strip()[:-1]) if re.match(rf"{SCIENTIFIC}[fF]$", text) else text
        case "double":
            return float(text) if re.match(rf"{SCIENTIFIC}$", text) else text
        case "boolean":
            return truth(text)
        case "ArrayList":
            return java_list(text, items)
        case "Array":
            return java_array(text, items)
        case "HashMap":
            return java_map(text)
    return text  # String, char, any


def javascript(text: str, kind: str, items: str | None = None) -> Any:
    """The value of a JavaScript expression of type `kind`, an array's items being of type `items`."""
    match kind:
        case "String":
            return unquoted(text, "\"'")
        case "integer":
            return int(text) if re.match(rf"{WHOLE}$", text) else text
        case "float":
            return float(text) if re.match(rf"{DECIMAL}$", text) else text
        case "Bigint":
            return int(text.strip()[:-1]) if re.match(rf"{WHOLE}n$", text) else text
        case "Boolean":
            return truth(text)
        case "array":
            return javascript_array(text, items)
        case "dict":
            return javascript_object(text)
    return text  # any


# --- single values ----------------------------------------------------------------------------------------------------------------------


def truth(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)


def unquoted(text: str, quotes: str) -> str:
    """Without the quotes around it, where both ends have the same one. A lone quote is its own end."""
    return text[1:-1] if text and text[0] in quotes and text[0] == text[-1] else text


def number(text: str) -> Any:
    """What Python reads in it, 'nan' and '1_000' included, or the text."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def java_untyped(text: str) -> Any:
    """A value inside a HashMap, where no type is declared."""
    if text in ("true", "false"):
        return truth(text)
    if text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    if re.match(rf"{WHOLE}[lL]$", text):
        return int(text[:-1])
    if re.match(rf"{SCIENTIFIC}[fF]$", text):
        return float(text[:-1])
    return number(text)


def javascript_untyped(text: str) -> Any:
    """A value inside an object or an array of no declared type."""
    text = text.strip()
    if text in ("true", "false"):
        return truth(text)
    bare = unquoted(text, "\"'")
    return bare if bare != text else number(text)


# --- Java collections -------------------------------------------------------------------------------------------------------------------


def java_list(text: str, items: str | None) -> Any:
    """new ArrayList<T>(Arrays.asList(...)), new ArrayList<T>() {{ add(...); }}, new ArrayList<T>()."""
    if found := re.search(rf"{JAVA_LIST}\(Arrays\.asList\((.+?)\)\)", text):
        values = found[1].split(",")
    elif found := re.search(rf"{JAVA_LIST}\(\)\s*\{{\{{(.+?)\}}\}}", text, re.S):
        values = re.findall(r"add\((.+?)\)", found[1])
    elif re.search(rf"{JAVA_LIST}\(\)", text):
        values = []
    else:
        return text
    convert = (lambda value: value[1:-1]) if items in ("String", "char") else java_item(items)  # whatever stands where the quotes should
    return [convert(value.strip()) for value in values]


def java_array(text: str, items: str | None) -> Any:
    """new T[]{...}. What is empty between two commas is no item."""
    found = re.search(r"new\s+\w+\[\]\s*\{(.*?)\}", text)
    if not found:
        return text
    return [java_item(items)(value.strip()) for value in found[1].split(",") if value.strip()]


def java_item(items: str | None) -> Convert:
    return java_untyped if items is None else lambda value: java(value, items)


def java_map(text: str) -> Any:
    """new HashMap<K, V>() {{ put("key", value); }}, up to the first closing brace."""
    if found := re.search(rf"{JAVA_MAP}\s*\{{(.*?)\}}", text, re.S):
        return {key: java_untyped(value.strip()) for key, value in re.findall(r'put\("(.*?)",\s*(.*?)\)', found[1])}
    return {} if re.search(JAVA_MAP, text, re.S) else text


# --- JavaScript collections -------------------------------------------------------------------------------------------------------------


def javascript_array(text: str, items: str | None) -> Any:
    """[...] up to the first closing bracket, new Array(...), and lists in either, whose items have no declared type."""
    code = text.strip()
    for opening, closing in ((r"\[\s*\[", "]"), (r"new\s+Array\(\s*\[", ")")):
        if (found := re.match(opening, code)) and (end := end_of_lists(code, found.end(), closing)):
            first, *others = re.findall(r"\[(.*?)\]", code[:end])
            parts = [first.strip().removeprefix("["), *others]  # the first began at the outer bracket
            return [[javascript_untyped(value) for value in part.split(",")] for part in parts]
    found = re.match(r"\[(.*?)\]", code) or re.match(r"new\s+Array\((.*?)\)", code)
    if not found:
        return code
    if not found[1].strip():
        return []
    convert = javascript_untyped if items is None else lambda value: javascript(value, items)
    return [convert(value.strip()) for value in found[1].split(",")]


def end_of_lists(code: str, start: int, closing: str) -> int | None:
    """Where "1], [2], [3]]" ends whose first list is open at `start`: what .*?\\]\\s*(,\\s*\\[.*?\\]\\s*)* and the closing sign match.

    From right to left in one pass: that expression itself takes exponential time on lists that do not close.
    """
    ends: list[int | None] = [None] * (len(code) + 1)  # of lists whose current one is open at k
    for k in range(len(code) - 1, start - 1, -1):
        ends[k] = None if code[k] == "\n" else ends[k + 1]
        if code[k] == "]" and (found := re.compile(rf"\s*(?:(\{closing})|,\s*\[)").match(code, k + 1)):
            ends[k] = (found.end() if found[1] else ends[found.end()]) or ends[k]
    return ends[start]


def javascript_object(text: str) -> Any:
    """{key: value, ...} up to the first closing brace; a comma parts two pairs where a "key:" follows it."""
    code = text.strip()
    found = re.match(r"\{(.*?)\}", code)
    if not found:
        return code
    pairs = re.findall(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)", found[1])
    return {key.strip().strip("\"'"): javascript_member(value.strip()) for key, value in pairs}


def javascript_member(value: str) -> Any:
    if value.startswith("[") and value.endswith("]"):
        return javascript_array(value, None)
    return javascript_untyped(value.strip("\"'"))
