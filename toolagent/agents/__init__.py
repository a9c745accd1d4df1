"""Agents: they are handed a runtime, a toolbox and, where they need one, a value function."""
