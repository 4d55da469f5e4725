"""The shapes of the public API, a file per noun: what requests may hold, and what the OpenAPI says of answers."""
