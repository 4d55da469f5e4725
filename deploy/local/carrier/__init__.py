"""The carrier simulator: a provider that accepts messages, posts receipts back and writes down all it accepted."""
