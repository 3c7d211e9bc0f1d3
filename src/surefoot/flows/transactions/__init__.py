"""Steps whose writes to a database and whose outcome are one."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.flows.transactions.bodies import InLedger as InLedger
    from surefoot.flows.transactions.bodies import transactional as transactional
    from surefoot.flows.transactions.databases import LEDGER as LEDGER
    from surefoot.flows.transactions.databases import Address as Address
    from surefoot.flows.transactions.databases import Databases as Databases
    from surefoot.flows.transactions.databases import databases as databases
    from surefoot.flows.transactions.marks import POSTGRES_DDL as POSTGRES_DDL
    from surefoot.flows.transactions.marks import SQLITE_DDL as SQLITE_DDL
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "bodies": ["InLedger", "transactional"],
            "databases": ["LEDGER", "Address", "Databases", "databases"],
            "marks": ["POSTGRES_DDL", "SQLITE_DDL"],
        },
    )
