"""Flows and runs over HTTP."""
