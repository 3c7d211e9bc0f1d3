"""Metrics that a model judges, strict by default and number for number those of ragas on demand."""
