"""Benchmarks: `python -m tests.bench [name]`; see README.md."""
