"""Self-describing JSON: values to text and back to the very same types."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.ledger.encoding.exactness import check_exact as check_exact
    from surefoot.ledger.encoding.large import LARGE as LARGE
    from surefoot.ledger.encoding.large import Encoded as Encoded
    from surefoot.ledger.encoding.names import canonical_module as canonical_module
    from surefoot.ledger.encoding.text import decode as decode
    from surefoot.ledger.encoding.text import digest as digest
    from surefoot.ledger.encoding.text import encode as encode
    from surefoot.ledger.encoding.text import encode_large as encode_large
    from surefoot.ledger.encoding.text import identity as identity
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "exactness": ["check_exact"],
            "large": ["LARGE", "Encoded"],
            "names": ["canonical_module"],
            "text": ["decode", "digest", "encode", "encode_large", "identity"],
        },
    )
