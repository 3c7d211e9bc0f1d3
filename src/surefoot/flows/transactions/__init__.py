"""Steps whose writes to a database and whose outcome are one."""

from surefoot.flows.transactions.bodies import InLedger, transactional
from surefoot.flows.transactions.databases import LEDGER, Address, Databases, databases
from surefoot.flows.transactions.marks import POSTGRES_DDL, SQLITE_DDL

__all__ = [
    "LEDGER",
    "POSTGRES_DDL",
    "SQLITE_DDL",
    "Address",
    "Databases",
    "InLedger",
    "databases",
    "transactional",
]
