"""Reproducible speed measurements: what a decision costs on top of the server that carries it. See README.md."""
