"""Authentication with a single API key."""

import secrets

from fastapi.security.utils import get_authorization_scheme_param
from pydantic import SecretStr
from starlette.datastructures import Headers

from facerec.serving.errors import Unauthorized


class BearerAuth:
    """Requires the header `Authorization: Bearer KEY` (RFC 6750). Without a key every client may call."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value() if key else None

    def check(self, headers: Headers) -> None:
        """Check the headers of a request.

        Raises:
            Unauthorized: the key is missing or wrong.
        """
        if self._key is None:
            return
        scheme, given = get_authorization_scheme_param(headers.get("Authorization"))
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.encode(), self._key.encode()):
            raise Unauthorized
