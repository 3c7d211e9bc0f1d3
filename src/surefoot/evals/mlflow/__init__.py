"""Experiments and prompts to an MLflow server, over its REST API: no package of MLflow is needed here."""

from surefoot.evals.mlflow.registering import Registered, register
from surefoot.evals.mlflow.sending import Sent, send
from surefoot.traces.mlflow import Server, server_of

__all__ = ["Registered", "Sent", "Server", "register", "send", "server_of"]
