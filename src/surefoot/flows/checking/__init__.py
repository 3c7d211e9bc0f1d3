"""Whether untrusted text can make a flow send private data out, told from its code. Nothing is run."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.flows.checking.marks import Hop as Hop
    from surefoot.flows.checking.report import Crossing as Crossing
    from surefoot.flows.checking.report import Report as Report
    from surefoot.flows.checking.scanning import checked as checked
    from surefoot.flows.checking.using import named as named
    from surefoot.flows.checking.using import undeclared as undeclared
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "marks": ["Hop"],
            "report": ["Crossing", "Report"],
            "scanning": ["checked"],
            "using": ["named", "undeclared"],
        },
    )
