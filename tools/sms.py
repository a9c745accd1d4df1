"""Text messages: drafts as .json files in home/sms/, with an `sms:` link that a phone opens ready to send.

    {"recipients": ["+44 7700 900123"], "message": "on my way", "created": "2025-11-24 10:00:00", "link": "sms:+447700900123?body=on%20..."}

Left out: sending. No desktop has a common way to do it.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from _store import plain, shown, write_new

from toolagent.tool import Phone, Text, ToolFailed, now, tool

NUMBER = re.compile(r"\+?\(?[0-9][0-9 ().\-/\u00a0]{1,30}")


@tool(writes=True)
def send_sms(recipients: list[Phone], message: Text) -> str:
    """Draft one text message to one or more people.

    Args:
        recipients: phone numbers
        message: what it says
    """
    numbers = list(dict.fromkeys(r.strip() for r in recipients))
    if not numbers:
        raise ToolFailed("the message needs at least one recipient")
    for number in numbers:
        if not NUMBER.fullmatch(number):
            raise ToolFailed(f"{number[:100]!r} is no phone number; look it up with get_phone_number")
    text = plain(message).strip()
    if not text:
        raise ToolFailed("the message is empty")
    link = f"sms:{','.join(re.sub(r'[^+0-9]', '', number) for number in numbers)}?body={quote(text, safe='')}"  # RFC 5724
    draft = {"recipients": numbers, "message": text, "created": f"{now():%Y-%m-%d %H:%M:%S}", "link": link}
    path = write_new("sms", f"{now():%Y-%m-%d %H.%M} {numbers[0]}", ".json", json.dumps(draft, ensure_ascii=False, indent=1) + "\n")
    return f"Text message to {', '.join(numbers)} drafted in {shown(path)}"
