"""Who may come in, with what."""
