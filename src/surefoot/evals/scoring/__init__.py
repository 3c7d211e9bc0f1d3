"""Scorers: what they are applied to, what they read of a case and its run, how they are bound, asked and told apart."""
