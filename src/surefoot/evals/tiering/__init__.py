"""Cost against quality: every case answered by each model or tier alone, and the frontier drawn from it."""
