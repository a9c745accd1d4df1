"""Grammars that make wrong output impossible where it can be."""
