"""Experiments: a flow over a dataset, from what is ordered by way of runs and marks to the result that is kept."""
