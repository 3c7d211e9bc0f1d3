"""Self-describing JSON: values to text and back to the very same types."""

from surefoot.ledger.encoding.exactness import check_exact
from surefoot.ledger.encoding.large import LARGE, Encoded
from surefoot.ledger.encoding.names import canonical_module
from surefoot.ledger.encoding.text import decode, digest, encode, encode_large, identity

__all__ = [
    "LARGE",
    "Encoded",
    "canonical_module",
    "check_exact",
    "decode",
    "digest",
    "encode",
    "encode_large",
    "identity",
]
