"""What a prompted model wrote -> the calls in it, as BFCL decodes them: "[f(a=1), m.g(b=[2])]".

    decode(text)          Python syntax, agreeing with the official decoder
    decode_source(text)   Java and JavaScript arguments, which stay source text; a reading of our own

Both raise InvalidOutput where the text is no list of calls. Oddities that are kept: positional arguments are dropped, a name stands for its own
text ("true" is no boolean), any unary operator negates: f(a=+1) is f(a=-1). Where the official decoder evaluates the model's text (names,
f-strings, built-in functions inside arithmetic), this one does not: InvalidOutput.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

from toolagent.errors import InvalidOutput
from toolagent.types import ToolCall

BITS = 10_000  # of a number, or items of a text or list, that arithmetic in an answer may make; Python prints so large a number still
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.BitAnd: operator.and_,
}  # fmt: skip
UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert, ast.Not: operator.not_}

OPEN, CLOSE = "([{", ")]}"
ASSIGNED = re.compile(r"\s*([\w.$]+)\s*=(?!=)\s*(.*?)\s*", re.S)
LONE_STRING = re.compile(r"""(["'])((?:\\.|(?!\1)[^\\])*)\1""", re.S)
CALL = re.compile(r"\s*([\w.$]+)\s*\((.*)\)\s*", re.S)


def decode(text: str) -> tuple[ToolCall, ...]:
    """A prompted model's Python-like answer -> calls; none for "" and "[]". Raises InvalidOutput.

    Backticks, newlines and spaces around it and one missing bracket on either side are forgiven; prose is not. Positional arguments are
    dropped, names stand for their own text, arithmetic is worked out, a call among the arguments is {name: arguments}.
    """
    code = text.strip("`\n ")
    code = ("" if code.startswith("[") else "[") + code + ("" if code.endswith("]") else "]")
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes, of calling a number
            tree = ast.parse(code, mode="eval").body
        nodes = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else [tree]
        if all(isinstance(node, ast.Call) for node in nodes):
            return tuple(ToolCall(*named(node)) for node in nodes if isinstance(node, ast.Call))
    except (SyntaxError, ValueError, TypeError, ArithmeticError, KeyError, RecursionError, MemoryError) as error:
        raise InvalidOutput(f"no calls can be read: {error}") from error
    raise InvalidOutput("no calls can be read: not a list of calls")


def named(node: ast.Call) -> tuple[str, dict[str, Any]]:
    """(name, arguments) of a call; "**" holds what is unpacked."""
    parts = []
    function = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        parts.append(function.id)
    return ".".join(reversed(parts)), {keyword.arg or "**": argument_value(keyword.value) for keyword in node.keywords}


def argument_value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return "..." if value is ... else value
        case ast.UnaryOp(operand=ast.Constant(value=value)):
            return UNARY[ast.USub](value)
        case ast.List(elts=items):
            return [argument_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(argument_value(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {argument_value(unstarred(key)): argument_value(value) for key, value in zip(keys, values, strict=True)}
        case ast.BinOp():
            return arithmetic(node)
        case ast.Name(id=name):
            return name
        case ast.Call(keywords=[_, *_]):
            name, arguments = named(node)
            return {name: arguments}
        case ast.Call() | ast.Subscript():
            return ast.unparse(node)
    raise ValueError(f"{type(node).__name__} as an argument")


def unstarred(key: ast.expr | None) -> ast.expr:
    if key is None:
        raise ValueError("** in a dict")
    return key


def arithmetic(node: ast.expr) -> Any:
    """The value of an expression of constants, as Python has it."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items):
            return [arithmetic(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(arithmetic(item) for item in items)
        case ast.UnaryOp(op=sign, operand=operand):
            return UNARY[type(sign)](arithmetic(operand))
        case ast.BinOp(left=left, op=sign, right=right):
            a, b = arithmetic(left), arithmetic(right)
            if size(sign, a, b) > BITS:
                raise ValueError("a number or text too large")
            return BINARY[type(sign)](a, b)
    raise ValueError(f"{type(node).__name__} in arithmetic")


def size(sign: ast.operator, a: Any, b: Any) -> float:
    """About how large the result is: a model must not fill the memory of who judges it."""
    whole = isinstance(a, int) and isinstance(b, int)
    match sign:
        case ast.Pow() if whole:
            return max(1, a.bit_length()) * abs(b)
        case ast.LShift() if whole:
            return a.bit_length() + b
        case ast.Mult() if whole:
            return a.bit_length() + b.bit_length()
        case ast.Mult() if isinstance(a, (str, bytes, list, tuple)) and isinstance(b, int):
            return weight(a) * b
        case ast.Mult() if isinstance(b, (str, bytes, list, tuple)) and isinstance(a, int):
            return weight(b) * a
        case ast.Mod() if isinstance(a, (str, bytes)):  # "%9999999999d" % 1
            return float("inf")
    return 0


def weight(value: Any) -> int:
    """How many characters and items there are in it, at all depths."""
    if isinstance(value, (list, tuple)):
        return len(value) + sum(map(weight, value))
    return len(value) if isinstance(value, (str, bytes)) else 1


# --- Java and JavaScript -------------------------------------------------------------------------------------------------------------------


def decode_source(text: str) -> tuple[ToolCall, ...]:
    """A prompted model's "[name(argument=source, ...)]" -> calls whose values are source text, a lone string without its quotes.

    Raises InvalidOutput. The official decoder takes what its parser of the language makes of text that is no sentence of it, so whether a
    short call is read can turn on its length; this one reads all that is balanced.
    """
    code = text.strip("`\n ").removeprefix("[").removesuffix("]").strip().removesuffix(";")
    calls = []
    for part in pieces(code):
        found = CALL.fullmatch(part)
        if not found:
            raise InvalidOutput(f"no calls can be read: {part[:80]!r} is no call")
        assigned = [ASSIGNED.fullmatch(argument) for argument in pieces(found[2])]
        calls.append(ToolCall(found[1], {each[1]: bare(each[2]) for each in assigned if each}))
    return tuple(calls)


def bare(source: str) -> str:
    lone = LONE_STRING.fullmatch(source)
    return lone[2] if lone else source


def pieces(code: str) -> list[str]:
    """What stands between the commas that are in no bracket and no string. Raises InvalidOutput where brackets or quotes do not close."""
    parts, start, awaited, k = [], 0, "", 0
    while k < len(code):
        sign = code[k]
        if awaited[-1:] in ("'", '"'):  # in a string
            if sign == "\\":
                k += 1
            elif sign == awaited[-1]:
                awaited = awaited[:-1]
        elif sign in "'\"":
            awaited += sign
        elif sign in OPEN:
            awaited += CLOSE[OPEN.index(sign)]
        elif sign in CLOSE:
            if awaited[-1:] != sign:
                raise InvalidOutput(f"no calls can be read: {sign!r} closes nothing")
            awaited = awaited[:-1]
        elif sign == "," and not awaited:
            parts.append(code[start:k])
            start = k + 1
        k += 1
    if awaited:
        raise InvalidOutput(f"no calls can be read: {awaited[-1]!r} is missing")
    return [part for part in (*parts, code[start:]) if part.strip()]
