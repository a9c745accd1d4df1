"""undo: take back what the last run wrote. A file that was changed since stays as it is.

toolagent undo
"""

from __future__ import annotations

import click

from toolagent.commands.options import answer, common, home_of, home_option


@click.command()
@home_option
@common
def undo(home: str | None, as_json: bool) -> int:
    """Take back what the last run wrote; once more takes back the run before it.

    Example: toolagent undo --home demo-home
    """
    from toolagent import toolbox

    told = toolbox.undo(home_of(home))
    answer(as_json, {"undone": told}, "\n".join(told))
    return 0
