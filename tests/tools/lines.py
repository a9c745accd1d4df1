"""A second reader of .ics, by hand from RFC 5545: unfold, split name;params:value, unescape. [(name, params, value)] in order."""

import re


def read(path):
    data = path.read_bytes().decode("utf-8")
    assert "\n" not in data.replace("\r\n", ""), "every line ends with CRLF"
    assert all(len(row.encode()) <= 75 for row in data.split("\r\n")), "no line is longer than 75 bytes"
    found = []
    for row in re.sub(r"\r\n[ \t]", "", data).split("\r\n"):
        if row:
            head, value = re.match(r'((?:[^":]|"[^"]*")*):(.*)', row).groups()
            name, *params = head.split(";")
            found.append((name, dict(p.split("=", 1) for p in params), unescape(value)))
    return found


def unescape(value):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)


def values(path, name):
    return [value for n, _, value in read(path) if n == name]


def one(path, name):
    (value,) = values(path, name)
    return value


def params(path, name):
    return [p for n, p, _ in read(path) if n == name][-1]  # those of a VTIMEZONE come first
