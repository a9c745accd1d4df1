"""Tools that exist nowhere, to practise reading signatures on; and the verbs by which a tool's name or description is known as an order."""

from __future__ import annotations

import random
from typing import Any

from toolagent.types import ToolSpec


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


VERBS = words(  # the first words of invented names
    "add archive assign approve book cancel check close count convert create delete dispatch export fetch file find fix flag freeze "
    "get hide import issue label list load lock log lookup mark measure merge move mute open order pause pay pick plan play post "
    "print publish query queue read record refill refund register release remove rename renew rent repair report reserve reset "
    "restart resume return save scan schedule search sell set share ship show sign skip sort split start stop store submit swap "
    "switch sync tag track transfer translate turn_off turn_on unlock update upload validate verify view void water weigh"
)
NOUNS = words(
    "account alarm album animal appliance area article auction badge bag basket battery bed bike bill board boat bottle box branch "
    "bus cable camera card case chair channel cheque class client clip coach coin complaint container contract coupon course crate "
    "customer cycle deal delivery deposit desk device dish document door drill driver engine exam fee ferry field filter flight floor "
    "form freezer game garden gate grant group guest heater hive horse house invoice item job key lamp lane lease lesson letter "
    "licence lift light loan lock log machine map meal member menu meter model motor order oven package page paint pallet parcel part "
    "patient payment permit photo piece pipe plan plant plate player playlist policy pool post price printer product project pump "
    "quote rack radio recipe record reel refund rental report request ride road robot roof room route row sample school score screen "
    "seat segment sensor server shelf shift ship shop sign site skill slot song spool stage stand station stock store story studio "
    "subscription supplier survey switch table tag tank task team ticket tile timer tool tour track trailer train tree trip truck "
    "tunnel unit user valve van vehicle vendor video village visit volume voucher wall ward watch well wheel window worker zone"
)
MORE_VERBS = words(  # not for invented names
    "accept alert allow announce answer append apply ask bake begin block brew bring build calculate call change clean climb "
    "collect compare compose compute confirm cook copy cover cut define deliver deploy deposit describe disable do draft draw "
    "drive email enable end enter escalate estimate execute exit explain feed fly follow forward generate give go grant harvest "
    "heat hover inform install invite join keep land launch leave listen look lower make name note notify paste photograph plant "
    "preheat prepare press provide prune pull push put raise rank rate reject remind reply resize resolve retrieve revoke ring "
    "roll run see send shoot snooze sow summarise summarize take tell text tidy turn visit walk warn wash watch weed withdraw "
    "write"
)
VERB_FORMS = {  # how descriptions begin -> the order
    "returns": "get", "gets": "get", "fetches": "fetch", "checks": "check", "does": "do", "goes": "go", "passes": "pass",
    "searches": "search", "publishes": "publish", "dispatches": "dispatch", "switches": "switch", "notifies": "notify",
    "applies": "apply", "copies": "copy", "retrieves": "retrieve", "writes": "write", "makes": "make", "computes": "compute",
    "calculates": "calculate", "provides": "give", "gives": "give", "lists": "list", "looks": "look", "sends": "send", "draws": "draw",
    "tells": "tell", "retrieve": "retrieve", "return": "get", "allows": "allow", "estimates": "estimate", "generates": "generate",
    "executes": "execute", "runs": "run", "takes": "take",
}  # fmt: skip
PARAMETERS: tuple[tuple[str, dict[str, Any], str], ...] = (  # (name, schema, kind of the value)
    ("name", {"type": "string"}, "person"), ("customer", {"type": "string"}, "person"), ("owner", {"type": "string"}, "person"),
    ("assignee", {"type": "string"}, "person"), ("title", {"type": "string"}, "event"), ("label", {"type": "string"}, "topic"),
    ("place", {"type": "string"}, "place"), ("city", {"type": "string"}, "place"), ("destination", {"type": "string"}, "place"),
    ("address", {"type": "string"}, "address"), ("file", {"type": "string"}, "file"),
    ("note", {"type": "string", "format": "text"}, "message"),
    ("comment", {"type": "string", "format": "text"}, "message"), ("reason", {"type": "string", "format": "text"}, "message"),
    ("when", {"type": "string", "format": "date-time"}, "when"), ("date", {"type": "string", "format": "date-time"}, "when"),
    ("due", {"type": "string", "format": "date-time"}, "when"), ("email", {"type": "string", "format": "email"}, "email"),
    ("phone", {"type": "string", "format": "phone"}, "phone"), ("url", {"type": "string", "format": "uri"}, "url"),
    ("count", {"type": "integer"}, "integer"), ("quantity", {"type": "integer"}, "integer"), ("minutes", {"type": "integer"}, "integer"),
    ("floor", {"type": "integer"}, "integer"), ("level", {"type": "integer"}, "integer"), ("amount", {"type": "number"}, "decimal"),
    ("price", {"type": "number"}, "decimal"), ("weight", {"type": "number"}, "decimal"), ("temperature", {"type": "number"}, "decimal"),
    ("id", {"type": "string"}, "code"), ("number", {"type": "string"}, "code"), ("code", {"type": "string"}, "code"),
    ("urgent", {"type": "boolean"}, "flag"), ("silent", {"type": "boolean"}, "flag"), ("express", {"type": "boolean"}, "flag"),
    ("colour", {"type": "string", "enum": ["red", "green", "blue", "black", "white"]}, "enum"),
    ("size", {"type": "string", "enum": ["small", "medium", "large"]}, "enum"),
    ("mode", {"type": "string", "enum": ["auto", "manual", "eco"]}, "enum"),
    ("priority", {"type": "string", "enum": ["low", "normal", "high"]}, "enum"),
    ("side", {"type": "string", "enum": ["left", "right"]}, "enum"),
    ("unit", {"type": "string", "enum": ["kg", "g", "lb"]}, "enum"), ("people", {"type": "array", "items": {"type": "string"}}, "person"),
    ("tags", {"type": "array", "items": {"type": "string"}}, "topic"), ("items", {"type": "array", "items": {"type": "string"}}, "list"),
)  # fmt: skip
STYLES = (
    lambda verb, noun: f"{verb}_{noun}", lambda verb, noun: f"{noun}.{verb}", lambda verb, noun: verb + noun.capitalize(),
    lambda verb, noun: f"{noun}_{verb}", lambda verb, noun: f"{verb}_{noun}", lambda verb, noun: f"{verb}-{noun}",
)  # fmt: skip


def is_verb(word: str) -> bool:
    return word.lower() in VERBS or word.lower() in MORE_VERBS


def invented_tools(rng: random.Random, n: int) -> tuple[ToolSpec, ...]:
    """n tools that exist nowhere, around a few nouns, so that neighbours must be told apart."""
    nouns = rng.sample(NOUNS, max(1, n // 2))
    style = rng.choice(STYLES)
    tools: dict[str, ToolSpec] = {}
    while len(tools) < n:
        verb, noun = rng.choice(VERBS), rng.choice(nouns)
        name = style(verb, noun)
        chosen = rng.sample(PARAMETERS, rng.choice((0, 1, 1, 2, 2, 3, 3, 4)))
        noun_name = f"{noun}_{chosen[0][0]}" if chosen and rng.random() < 0.15 else ""
        properties = {(noun_name if i == 0 and noun_name else p[0]): dict(p[1]) for i, p in enumerate(chosen)}
        keys = list(properties)
        required = keys[: rng.randint(min(1, len(keys)), len(keys))] if keys else []
        parameters: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            parameters["required"] = required
        verb_words = verb.replace("_", " ")
        article = "an" if noun[0] in "aeiou" else "a"
        tools[name] = ToolSpec(name, f"{verb_words.capitalize()} {rng.choice((article, 'the', article))} {noun}.", parameters)
    return tuple(tools.values())
