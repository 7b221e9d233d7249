"""Secrets at rest: AES-GCM, bound to company and column, with key ids for rotation (S12.5).

A stored secret reads `v1.<key id>.<base64url of nonce and ciphertext>`. Moved to another row or
column it no longer opens, which Fernet would not notice.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class VaultError(Exception):
    """A stored secret cannot be opened: unknown key, wrong place or damaged."""


class Vault:
    """Seals and opens secrets; `keys` maps key id to 32 bytes, the sealing key first."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current_key_id = next(iter(keys))

    def seal(self, secret: str, *, company_id: int, column: str) -> str:
        """Encrypt for one place; the same secret sealed twice looks different."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self.current_key_id]
        sealed = nonce + cipher.encrypt(nonce, secret.encode(), _place(company_id, column))
        return f"v1.{self.current_key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, *, company_id: int, column: str) -> str:
        """Decrypt; raises VaultError when the key is unknown or the place another one."""
        try:
            version, key_id, encoded = sealed.split(".", 2)
            raw = base64.urlsafe_b64decode(encoded)
            cipher = self._ciphers[key_id]
            if version != "v1":
                raise VaultError(f"{column}: unknown format")
            place = _place(company_id, column)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place).decode()
        except KeyError:
            raise VaultError(f"{column}: its key is not in ENCRYPTION_KEYS") from None
        except (InvalidTag, ValueError, binascii.Error):
            raise VaultError(f"{column}: damaged, or moved from another place") from None

    def is_current(self, sealed: str) -> bool:
        """Whether the secret is sealed with the first key; if not, rotation reseals it."""
        return sealed.split(".", 2)[1] == self.current_key_id


def fingerprint(secret: str) -> str:
    """Eight hexadecimal digits that tell two secrets apart and give neither away."""
    return hashlib.sha256(b"lockstep:" + secret.encode()).hexdigest()[:8]


def last_four(secret: str) -> str:
    """The end of a secret, for people; empty where that would be half of it or more."""
    return secret[-4:] if len(secret) > 8 else ""


def _place(company_id: int, column: str) -> bytes:
    return f"company:{company_id}:{column}".encode()
