"""The same answers through our checker and the official one: the same verdict and error class, every time.

Answers are the golds of BFCL and their mutations under every rule. The official code is run from an installed bfcl-eval, never read or copied;
its list of models and its parsers, which would import every vendor's library, are stood in for. Skipped where the package is not installed.

    pip install --no-deps --target DIR bfcl-eval
    TOOLAGENT_BFCL=DIR pytest tests/evaluate/test_calls_agreement.py -s
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import os
import random
import sys
import types
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from toolagent.errors import DataError, InvalidOutput
from toolagent.evaluate import calls as rules
from toolagent.evaluate import literals
from toolagent.evaluate.bfcl_data import JAVA, LIVE, NON_LIVE, PYTHON, TYPES, Entry, find_data, load_entries
from toolagent.evaluate.bfcl_decode import decode
from toolagent.evaluate.bfcl_gold import answer, gold_calls
from toolagent.evaluate.calls import check
from toolagent.types import ToolCall

AST = (*NON_LIVE, *LIVE)


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Its ast_checker, converters and decoder; what was imported for them is forgotten afterwards."""
    try:
        data = find_data()
    except DataError as error:
        pytest.skip(str(error))
    if not (data.parent / "eval_checker").is_dir():
        pytest.skip(f"{data}: the data without the package")

    def module(name: str, **content: Any) -> types.ModuleType:
        made = types.ModuleType(name)
        made.__dict__.update(content)
        return made

    def anything(*args: Any, **kwargs: Any) -> Any:
        return anything

    models = {"plain": SimpleNamespace(underscore_to_dot=False), "underscores": SimpleNamespace(underscore_to_dot=True)}
    parsers = "bfcl_eval.model_handler.parser"
    before, path, environment = set(sys.modules), list(sys.path), dict(os.environ)
    os.environ["BFCL_PROJECT_ROOT"] = str(tmp_path_factory.mktemp("bfcl"))  # it makes folders there as it is imported
    sys.path.insert(0, str(data.parents[1]))
    sys.modules |= {
        "bfcl_eval.constants.model_config": module("model_config", MODEL_CONFIG_MAPPING=models),
        f"{parsers}.java_parser": module("java_parser", parse_java_function_call=anything),
        f"{parsers}.js_parser": module("js_parser", parse_javascript_function_call=anything),
    }
    if importlib.util.find_spec("tenacity") is None:
        names = ("retry", "retry_if_exception_type", "retry_if_exception_message", "stop_after_attempt", "wait_random_exponential")
        sys.modules["tenacity"] = module("tenacity", **dict.fromkeys(names, anything))
    try:
        checker = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
        handler = importlib.import_module("bfcl_eval.model_handler.utils")
        yield SimpleNamespace(
            check=checker.ast_checker,
            languages={language.value: language for language in checker.Language},
            convert={JAVA: checker.java_type_converter, "javascript": checker.js_type_converter},
            decode=handler.default_decode_ast_prompting,
        )
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)
        for name in set(sys.modules) - before:
            del sys.modules[name]


# --- answers ----------------------------------------------------------------------------------------------------------------------------

Calls = list[tuple[str, dict[str, Any]]]


def of_other_type(value: Any, rng: random.Random) -> Any:
    others: list[Any] = [str(value), [value], {"value": value}, None, True, 0, 1.5, "", [], {}, (value,)]
    if isinstance(value, (int, float)):
        others += [float(value), int(value), bool(value), f" {value} "] * 3
    return rng.choice(others)


def near(value: Any, rng: random.Random) -> Any:
    """A value of about the same type, equal by some rule or not."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return rng.choice([value + 1, -value, float(value), int(value)])
    if isinstance(value, str):
        k = rng.randint(0, len(value))
        other = rng.choice(list(" ,./-_*^") + ["'", '"', "(", "\t", "x", "é"])
        return rng.choice(
            [value.upper(), value.lower(), value.title(), value[:k] + other + value[k:], value.replace(" ", ""), value.replace("'", '"'),
             value[1:], f'"{value}"', f"'{value}'", value + "L", value + "f", value + ".0", value + ";", value.replace('"', ""),
             value.replace(",", ", ")]
        )  # fmt: skip
    if isinstance(value, (list, tuple)) and value:
        items, k = list(value), rng.randrange(len(value))
        item = items[k]
        return rng.choice(
            [items[::-1], items[:-1], [*items, item], tuple(items), [items], items[:k] + [near(item, rng)] + items[k + 1 :],
             items[:k] + [of_other_type(item, rng)] + items[k + 1 :], [str(each) for each in items], rng.sample(items, len(items))]
        )  # fmt: skip
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        without = {name: item for name, item in value.items() if name != key}
        return rng.choice(
            [without, {**value, "other": 1}, {**value, key: near(value[key], rng)}, {**value, key: of_other_type(value[key], rng)},
             {**without, key.upper(): value[key]}, dict(reversed(value.items())), [value], {**value, key: [value[key]]}, {**value, key: ""}]
        )  # fmt: skip
    return rng.choice(["", None, "x", [value], 0])


def mutate(calls: Calls, entry: Entry, rng: random.Random) -> Calls:
    """One change, under one of the rules."""
    calls = copy.deepcopy(calls)
    if not calls:
        return [(entry.functions[0].name, {})]
    k = rng.randrange(len(calls))
    name, arguments = calls[k]
    argument = rng.choice(sorted(arguments)) if arguments else None
    gold = next((gold for gold in entry.gold if gold.name.replace(".", "_") == name.replace(".", "_")), entry.gold[0])
    function = rules.function_of(entry, gold)
    match rng.randrange(16):
        case 0:
            calls[k] = rng.choice([name.upper(), name.replace("_", "."), name.replace(".", "_"), name + "x", entry.functions[-1].name]), arguments
        case 1:
            del calls[k]
        case 2:
            calls.insert(rng.randint(0, len(calls)), copy.deepcopy(calls[k]))
        case 3:
            rng.shuffle(calls)
        case 4:
            arguments.pop(argument, None)
        case 5:
            extra = rng.choice([*sorted(function.properties), *sorted(gold.options), "other"])
            arguments.setdefault(extra, rng.choice(["", 0, "x", None, [], {}]))
        case 6:
            calls[k] = name, dict(rng.sample(list(arguments.items()), len(arguments)))
        case 7 | 8 if argument in function.properties and gold.options.get(argument):
            arguments[argument] = answer(rng.choice(gold.options[argument]), function.properties[argument], entry.language)
        case 9 if argument in function.properties and gold.options.get(argument):
            arguments[argument] = copy.deepcopy(rng.choice(gold.options[argument]))
        case 10 | 11 if argument is not None:
            arguments[argument] = of_other_type(arguments[argument], rng)
        case _ if argument is not None:
            arguments[argument] = near(arguments[argument], rng)
    return calls


def answers(entry: Entry, rng: random.Random, n: int) -> Iterator[tuple[Calls, bool]]:
    """The gold and n mutations of it, one or two changes deep; with the names that the model was shown."""
    for k in range(n + 1):
        dots = rng.random() < 0.3
        calls: Calls = [(call.name, call.arguments) for call in gold_calls(entry, dots)]
        for _ in range(0 if k == 0 else rng.choice([1, 1, 2])):
            calls = mutate(calls, entry, rng)
        yield calls, dots


# --- agreement --------------------------------------------------------------------------------------------------------------------------


def theirs(official: Any, entry: Entry, calls: Calls, dots: bool) -> tuple[str | None, list[str]] | None:
    """(error class, inner classes), the class None where the answer is right; None where the official checker raises."""
    docs = [
        {"name": f.name, "description": "", "parameters": {"type": "dict", "properties": f.properties, "required": list(f.required)}}
        for f in entry.functions
    ]  # fmt: skip
    gold = [{call.name: call.options} for call in entry.gold]
    answer, docs, gold = copy.deepcopy(([{name: arguments} for name, arguments in calls], docs, gold))
    language, model = official.languages[entry.language], "underscores" if dots else "plain"
    try:
        found = official.check(docs, answer, gold, language, entry.category, model)
    except (TypeError, AttributeError, KeyError, OverflowError):
        return None
    inner = [each["sub_error_type"] for part in found.get("error", ()) if isinstance(part, dict) for each in part.values()]
    return (None if found["valid"] else found["error_type"]), inner


def ours(entry: Entry, calls: Calls, dots: bool) -> tuple[str | None, list[str]]:
    fault = check([ToolCall(name, copy.deepcopy(arguments)) for name, arguments in calls], entry, dots)
    return (fault.kind, [inner.kind for inner in fault.inner]) if fault else (None, [])


def test_golds_and_mutations_of_them_get_the_official_verdict(official):
    rng = random.Random(0)
    verdicts: Counter[str | None] = Counter()
    agreed = raised = 0
    for category in AST:
        n = {"simple_java": 60, "simple_javascript": 60, "live_parallel": 40, "live_parallel_multiple": 40}.get(category, 10)
        for entry in load_entries(category):
            for calls, dots in answers(entry, rng, n):
                expected, found = theirs(official, entry, calls, dots), ours(entry, calls, dots)
                if expected is None:
                    assert found[0] is not None, (entry.id, calls)  # what it cannot judge is not right
                    raised += 1
                    continue
                assert found == expected, (entry.id, calls)
                agreed += 1
                verdicts.update([expected[0], *expected[1]])
    print(f"\n{agreed} answers agree, the official checker raised on {raised} more\n", *verdicts.most_common(), sep="\n")
    assert agreed >= 20_000
    named = {kind for name, kind in vars(rules).items() if name.isupper() and isinstance(kind, str) and ":" in kind}
    reached = named - {rules.DICT_NONE, rules.LIST_DICT_NONE}  # of golds that BFCL does not have
    assert reached | set(rules.NO_SOURCE.values()) | {None} <= set(verdicts)


FRAGMENTS = {
    JAVA: ["new ", "ArrayList", "<>", "<Integer>", "(", ")", "()", "{", "}", "{{ ", " }}", "Arrays.asList(", "add(", 'put("a", ', '");', ";", ", ",
           '"', '"a"', '"b, c"', "'c'", "1", "-2", "1.5", "2f", "3L", "true", "null", "x.y", "\n", " ", "int[]", "[]", "HashMap", "new int[]{",
           "e5", "_"],
    "javascript": ["[", "]", "[[", "]]", "{", "}", ", ", ":", "a: ", '"b": ', "'c': ", '"', '"x"', "'y'", "'", "1", "-2", "1.5", "3n", "true", "null",
                   "x.y", "\n", " ", "new Array(", "(", ")", "[1, 2]", '["p", "q"]', "{a: 1}", ".", "_", "1e3"],
}  # fmt: skip
AROUND = {
    "ArrayList": ("new ArrayList<>(Arrays.asList(", "))"),
    "Array": ("new int[]{", "}"),
    "HashMap": ('new HashMap<>() {{ put("k", ', "); }}"),
    "array": ("[", "]"),
    "dict": ("{a: ", "}"),
}


@pytest.mark.parametrize("language", [JAVA, "javascript"])
def test_source_text_is_read_as_officially(official, language):
    rng = random.Random(1)
    convert = literals.java if language == JAVA else literals.javascript
    for _ in range(10_000):
        kind, items = rng.choice(list(TYPES[language])), rng.choice([None, *TYPES[language]])
        text = "".join(rng.choice(FRAGMENTS[language]) for _ in range(rng.randint(1, 12)))
        if rng.random() < 0.7:
            text = text.join(AROUND.get(kind, ("", "")))
        assert repr(convert(text, kind, items)) == repr(official.convert[language](text, kind, items)), (text, kind, items)


VALUES = [
    "1", "-1", "+1", "not True", "~1", "-1.5", "'a'", "x", "x.y", "x[0]", "f(1)", "g(a=1)", "g()", "[1, 'a']", "(1,)", "()", "{'k': x}", "{1: 2}",
    "{**d}", "None", "...", "1 + 2", "2**3", "'a' + 'b'", "1 + x", "-x", "-(1)", "1 / 0", "7 // 2", "[1] * 2", "lambda: 1", "f'{x}'", "1j", "{1, 2}",
    "*a", "-(-1)", "1 + -2", "(1 + 2) * 3", "{[1]: 2}", "true", "x().y", "x[0].y", "'it\\'s'",
]  # fmt: skip


def test_text_is_decoded_as_officially(official):
    rng = random.Random(2)
    for _ in range(5_000):
        made = []
        for _ in range(rng.randint(0, 3)):
            given = [rng.choice(["a=", "b=", "c = ", ""]) + rng.choice(VALUES) for _ in range(rng.randint(0, 3))]
            made.append(rng.choice(["f", "a.b.c", "x[0]", "x.f", "f()"]) + "(" + ", ".join(given) + ")")
        text = rng.choice(["", "[", "[", "`[", "```\n", "```python\n", "Sure: ", "[["]) + rng.choice([", ", ", ", "; ", "\n"]).join(made)
        text += rng.choice(["", "]", "]", "]`", "\n```", "]]", ".", " # x"])
        try:
            expected = official.decode(text)
        except Exception:
            expected = None
        try:
            found = [{call.name: call.arguments} for call in decode(text)]
        except InvalidOutput:
            found = None
        assert repr(found) == repr(expected), text


def test_there_are_2501_golds_150_of_them_not_in_python():
    try:
        entries = [entry for category in AST for entry in load_entries(category)]
    except DataError as error:
        pytest.skip(str(error))
    assert len(entries) == 2501 and sum(entry.language != PYTHON for entry in entries) == 150
