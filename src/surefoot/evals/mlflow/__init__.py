"""Experiments to an MLflow server, over its REST API: no package of MLflow is needed here."""

from surefoot.evals.mlflow.sending import Sent, send
from surefoot.traces.mlflow import Server, server_of

__all__ = ["Sent", "Server", "send", "server_of"]
