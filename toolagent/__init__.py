"""toolagent: small, private tool-calling agents, made and run where the user is. See docs/ARCHITECTURE.md for the floor plan."""

from toolagent.plan import Plan, same_graph, waves
from toolagent.tool import Tool, tool
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

__all__ = ["Conversation", "Message", "Plan", "Tool", "ToolCall", "ToolResult", "ToolSpec", "same_graph", "tool", "waves"]
__version__ = "0.1.0"
