"""The error tree; each leaf knows the exit code that the command line gives for it.

    ToolagentError                1  anything of ours that a user can mend
    ├── UsageError                2  a flag, a configuration key, a request
    │   ├── DataError             2  a file, with path and line
    │   ├── ToolDefinitionError   2  a function that cannot be a tool, with file and line
    │   └── WhenError             2  a date that cannot be resolved
    ├── Denied                    3  a person or a policy said no
    ├── ContextOverflow           4  the prompt does not fit the model's context
    ├── NoModel                   5  missing, corrupt or foreign model
    ├── ToolFailed                6  a tool raised, or ran out of time
    ├── InvalidOutput             7  the model wrote what is no plan
    │   └── PlanError             7  a plan with a cycle, a forward reference, an unknown step
    └── BelowThreshold            8  a benchmark did not reach what was asked of it

130 is an interrupt (Ctrl-C). The model's own faults are no exceptions: they are ToolResults with an error that the model can read.
"""

from __future__ import annotations


class ToolagentError(Exception):
    exit_code = 1


class UsageError(ToolagentError):
    exit_code = 2


class DataError(UsageError):
    pass


class ToolDefinitionError(UsageError):
    pass


class WhenError(UsageError, ValueError):
    pass


class Denied(ToolagentError):
    exit_code = 3


class ContextOverflow(ToolagentError):
    exit_code = 4


class NoModel(ToolagentError):
    exit_code = 5


class ToolFailed(ToolagentError):
    exit_code = 6


class InvalidOutput(ToolagentError):
    exit_code = 7


class PlanError(InvalidOutput):
    pass


class BelowThreshold(ToolagentError):
    exit_code = 8
