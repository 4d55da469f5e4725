"""Fault runs: `python -m tests.chaos`; see README.md."""
