"""Between the public shapes and the protos, a file per noun: renaming and reshaping, no rules."""
