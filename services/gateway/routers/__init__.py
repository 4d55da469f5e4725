"""The operations, a file per noun. Check, ask the service, answer: no rules here."""
