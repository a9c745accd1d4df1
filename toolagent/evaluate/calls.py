"""Whether a model's calls are right by BFCL's rules (version 4, single turn): an answer and its entry -> None, or what is wrong.

    check(calls, entry)   calls, decoded (bfcl_decode.py) or from native function calling -> the first Fault, as the official checker names it

Clean-room: written from the rules and held against the official checker's verdicts, of which it keeps the oddities. Some that surprise:

    strings     equal without case, spaces and ,./-_*^ ("3.14" is "314"), the two quotes being one; inside flat lists too
    types       exact: no bool for an integer, no 5.0 for an integer; 5 for a float passes, [5] for an array of floats does not
    arguments   one that the gold does not name is wrong even when it says its default; "" among the gold's values: may be left out
    "variable"  a gold value of another type than the function's doc is compared as it is; an answer of that type passes the type rule
    dicts       one level of lists of values; deeper ones are compared as they are
    parallel    each gold call takes the first free answer that fits, and gives none back
    Java, JavaScript   every argument is a string of source text (literals.py)

Where the official checker raises (a gold that is no list, an int beyond every float), this one says a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolagent.evaluate import literals
from toolagent.evaluate.bfcl_data import JAVA, JAVASCRIPT, PYTHON, TYPES, Entry, Function, GoldCall, Schema
from toolagent.types import ToolCall

SIMPLE_COUNT = "simple_function_checker:wrong_count"
MULTIPLE_COUNT = "multiple_function_checker:wrong_count"
PARALLEL_COUNT = "parallel_function_checker_no_order:wrong_count"
PARALLEL_MATCH = "parallel_function_checker_no_order:cannot_find_match"
NAME = "simple_function_checker:wrong_func_name"
MISSING = "simple_function_checker:missing_required"
UNEXPECTED = "simple_function_checker:unexpected_param"
LEFT_OUT = "simple_function_checker:missing_optional"
TYPE = "type_error:simple"
ITEM_TYPE = "type_error:nested"
NO_SOURCE = {JAVA: "type_error:java", JAVASCRIPT: "type_error:js"}
VALUE = "value_error:others"
STRING = "value_error:string"
LIST = "value_error:list/tuple"
DICT_KEY = "value_error:dict_key"
DICT_VALUE = "value_error:dict_value"
DICT_COUNT = "value_error:list_dict_count"
DICT_NONE = "dict_checker:unclear"
LIST_DICT_NONE = "list_dict_checker:unclear"

IGNORED = re.compile(r"[ ,./\-_*^]")


@dataclass(frozen=True)
class Fault:
    """What is wrong: an official error class, the argument or function, what stood there and what should."""

    kind: str
    where: str = ""
    predicted: Any = None
    gold: Any = None
    inner: tuple[Fault, ...] = ()  # of PARALLEL_MATCH: why each free answer does not fit

    def __str__(self) -> str:
        if self.inner:
            return f"{self.kind} {self.where}: " + "; ".join(map(str, self.inner))
        return f"{self.kind} {self.where}: {self.predicted!r}, not {self.gold!r}"


# --- calls ------------------------------------------------------------------------------------------------------------------------------


def check(calls: Sequence[ToolCall], entry: Entry, dots: bool = False) -> Fault | None:
    """The first fault of an answer, None where it is right. `dots`: the model was shown "a_b" where a function's name is "a.b"."""
    if "parallel" in entry.category:
        return parallel(calls, entry, dots)
    if "multiple" in entry.category:
        return counted(calls, entry, MULTIPLE_COUNT) or one(calls[0], function_of(entry, entry.gold[0]), entry.gold[0], entry.language, dots)
    return counted(calls, entry, SIMPLE_COUNT) or one(calls[0], entry.functions[0], entry.gold[0], entry.language, dots)


def function_of(entry: Entry, gold: GoldCall) -> Function:
    return next(function for function in entry.functions if function.name == gold.name)


def shown_name(function: Function, dots: bool) -> str:
    """The name that the model was shown."""
    return function.name.replace(".", "_") if dots else function.name


def counted(calls: Sequence[ToolCall], entry: Entry, kind: str) -> Fault | None:
    return None if len(calls) == len(entry.gold) else Fault(kind, "calls", len(calls), len(entry.gold))


def parallel(calls: Sequence[ToolCall], entry: Entry, dots: bool) -> Fault | None:
    """In any order. Greedy, as the official one: an answer once taken is not given to a later gold call that only it would fit."""
    if fault := counted(calls, entry, PARALLEL_COUNT):
        return fault
    free = list(calls)
    for gold in entry.gold:
        faults = []
        for k, call in enumerate(free):
            fault = one(call, function_of(entry, gold), gold, entry.language, dots)
            if fault is None:
                del free[k]
                break
            faults.append(fault)
        else:
            return Fault(PARALLEL_MATCH, gold.name, inner=tuple(faults))
    return None


def one(call: ToolCall, function: Function, gold: GoldCall, language: str, dots: bool) -> Fault | None:
    """Name, required arguments, each argument in the order of the answer, arguments left out."""
    name = shown_name(function, dots)
    if call.name != name:
        return Fault(NAME, "name", call.name, name)
    for argument in function.required:
        if argument not in call.arguments:
            return Fault(MISSING, argument)
    for argument, value in call.arguments.items():
        if argument not in function.properties or argument not in gold.options:
            return Fault(UNEXPECTED, argument, value)
        if fault := argument_fault(argument, value, gold.options[argument], function.properties[argument], language):
            return fault
    for argument, options in gold.options.items():
        if argument not in call.arguments and "" not in options:
            return Fault(LEFT_OUT, argument, gold=options)
    return None


# --- an argument ------------------------------------------------------------------------------------------------------------------------


def argument_fault(where: str, value: Any, options: list[Any], schema: Schema, language: str) -> Fault | None:
    """The type rule, then the comparison that goes with the type."""
    kind = TYPES[language][schema["type"]]
    inner = schema["items"]["type"] if kind is list else None
    items = TYPES[language][inner] if inner is not None else None
    if language != PYTHON:
        if not isinstance(value, str):
            return Fault(NO_SOURCE[language], where, value, options)
        value = (literals.java if language == JAVA else literals.javascript)(value, schema["type"], inner)
    elif schema["type"] == "float" and type(value) is int:
        value = as_float(value)
    elif schema["type"] == "tuple" and type(value) is tuple:
        value = list(value)
    if error := type_error(value, options, kind, items):
        return Fault(error, where, value, schema["type"])
    if gold_type(options) in (None, kind):
        if kind is dict:
            return dict_fault(where, value, options)
        if kind is list and items is dict:
            return dicts_fault(where, value, options)
        if kind is str:
            return string_fault(where, value, options)
        if kind is list:
            return list_fault(where, value, options)
    return None if value in options else Fault(VALUE, where, value, options)


def as_float(value: int) -> float | int:
    try:
        return float(value)
    except OverflowError:
        return value


def gold_type(options: Sequence[Any]) -> type | None:
    """The type of the first value that is not "", which stands for leaving the argument out. Another than the doc's is a "variable"."""
    return next((type(option) for option in options if option != ""), None)


def type_error(value: Any, options: Sequence[Any], kind: type, items: type | None = None) -> str | None:
    """The error class of a value that is neither of the doc's type nor of the gold's. The items of a list are held to one option's items."""
    if type(value) is kind:
        if items is None or any(fit_items(value, option, items) for option in options):
            return None
        return ITEM_TYPE if gold_type(options) is kind else TYPE
    return None if type(value) is gold_type(options) else TYPE


def fit_items(value: Any, option: Any, items: type) -> bool:
    """An option that is no list says nothing of the items."""
    return type(option) is not list or all(type_error(item, option, items) is None for item in value)


def listed(option: Any) -> Sequence[Any]:
    """What an option holds: a string its characters, as there a list was meant."""
    return list(option) if isinstance(option, (list, tuple, str, dict)) else ()


def standard(value: Any) -> Any:
    """A string as strings are compared; everything else as it is."""
    return IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def string_fault(where: str, value: str, options: list[Any]) -> Fault | None:
    fits = standard(value) in [standard(option) for option in options if isinstance(option, str)]
    return None if fits else Fault(STRING, where, value, options)


def list_fault(where: str, value: list[Any], options: list[Any]) -> Fault | None:
    """The same items in the same order as one option; strings one level deep by `standard`."""
    items = [standard(item) for item in value]
    fits = items in [[standard(item) for item in listed(option)] for option in options]
    return None if fits else Fault(LIST, where, value, options)


def dict_fault(where: str, value: Any, options: Sequence[Any]) -> Fault | None:
    """None where one option fits; else the fault of the last one that is not ""."""
    fault: Fault | None = Fault(DICT_NONE, where, value, options)
    for option in options:
        if option != "" and (fault := key_fault(where, value, option)) is None:
            return None
    return fault


def key_fault(where: str, value: Any, option: Any) -> Fault | None:
    """A key that lacks outweighs a wrong value and an unknown key, wherever they stand."""
    if not isinstance(value, Mapping) or not isinstance(option, Mapping):
        return Fault(DICT_NONE, where, value, option)
    for key, options in option.items():
        if key not in value and "" not in values_of(options):
            return Fault(DICT_KEY, f"{where}.{key}", None, options)
    for key, item in value.items():
        if key not in option:
            return Fault(DICT_KEY, f"{where}.{key}", item)
        if standard(item) not in [standard(wanted) for wanted in listed(option[key])]:
            return Fault(DICT_VALUE, f"{where}.{key}", item, option[key])
    return None


def values_of(options: Any) -> Any:
    """What "" is looked for in. It is in every string: a key whose gold is one string instead of a list may lack."""
    return options if isinstance(options, (list, str, dict)) else ()


def dicts_fault(where: str, value: list[Any], options: list[Any]) -> Fault | None:
    """As many dicts as one option has, each by the rule of dicts; else the fault of the last option."""
    fault: Fault | None = Fault(LIST_DICT_NONE, where, value, options)
    for option in options:
        wanted = listed(option)
        if len(value) != len(wanted):
            fault = Fault(DICT_COUNT, where, len(value), len(wanted))
            continue
        found = (dict_fault(f"{where}[{k}]", item, [wanted[k]]) for k, item in enumerate(value))
        fault = next((each for each in found if each), None)
        if fault is None:
            return None
    return fault
