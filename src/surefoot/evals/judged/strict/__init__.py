"""The metrics as they are by default: every answer is checked, and what cannot be scored is a failure."""
