"""Readers of foreign formats, which run in a process of their own: their libraries parse untrusted files."""
