"""Model calls of unmodified SDK clients: the hook below them, and their replay."""
