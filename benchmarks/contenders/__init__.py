"""Programs that do a benchmark's work, each in the interpreter of its contender; they import nothing of the others."""
