"""An MLflow server over its REST API: no package of MLflow is needed here."""

from surefoot.traces.mlflow.server import Refused, Server, server_of

__all__ = ["Refused", "Server", "server_of"]
