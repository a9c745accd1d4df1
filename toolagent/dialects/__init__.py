"""How a model reads tools and writes calls: one module a dialect, each with prefix, render, answer, parse."""
