"""Who may ask: callers that send the service's key."""

import secrets

from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr
from starlette.datastructures import Headers

from facerec.serving.errors import Unauthorized


class Key:
    """What callers must send as `Authorization: Bearer KEY` (RFC 6750); where it is None, everyone may ask."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value() if key else None

    def check(self, headers: Headers) -> None:
        """Raise Unauthorized unless a request with these headers may be answered."""
        if self._key is None:
            return
        scheme, given = get_authorization_scheme_param(headers.get("Authorization"))
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), self._key.encode()):
            raise Unauthorized
