"""Segments while contacts, lists and rules change and processes die: `python -m tests.chaos segments`."""
