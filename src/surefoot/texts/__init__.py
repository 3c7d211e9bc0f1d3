"""Texts as they are read: rules for them, patterns, hosts, JSON, what nobody sees in them, and what fences them off.

Values and pure functions that rooms of every floor share.
"""
