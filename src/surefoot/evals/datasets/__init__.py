"""Datasets: cases from files, typed by a flow, cut into slices, split, made of runs and reviewed."""

from surefoot.evals.datasets.case import Case
from surefoot.evals.datasets.dataset import Dataset

__all__ = ["Case", "Dataset"]
