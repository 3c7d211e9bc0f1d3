"""Documents into a collection."""

from surefoot.ingest.documents import (
    Ingested,
    Progress,
    Report,
    ingest,
    ingest_document,
    ingest_flow,
    remove_documents,
    reported,
)
from surefoot.ingest.files import Source, Unreadable
from surefoot.ingest.plan import Plan, plan

__all__ = [
    "Ingested",
    "Plan",
    "Progress",
    "Report",
    "Source",
    "Unreadable",
    "ingest",
    "ingest_document",
    "ingest_flow",
    "plan",
    "remove_documents",
    "reported",
]
