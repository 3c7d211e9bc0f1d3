"""Self-describing JSON: values to text and back to the very same types."""

from surefoot.ledger.encoding.names import canonical_module
from surefoot.ledger.encoding.text import decode, digest, encode, identity

__all__ = ["canonical_module", "decode", "digest", "encode", "identity"]
