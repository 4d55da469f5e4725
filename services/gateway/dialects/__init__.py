"""Other APIs that clients move here from. A dialect renames fields and reshapes answers over the same calls to the
services, and decides nothing. docs/dialects.md says what is answered where."""
