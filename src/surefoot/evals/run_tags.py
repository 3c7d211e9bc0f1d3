"""The tags of the runs that evaluations make, by which they are found again and told from those of production."""

EXPERIMENT, CASE, REPEAT, SCORER, SCORER_DIGEST, DATASET, SETTINGS, NAME = (
    "experiment",
    "case",
    "repeat",
    "scorer",
    "scorer_digest",
    "dataset",
    "settings",
    "evaluation",
)
