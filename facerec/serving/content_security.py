"""Sources for a Content-Security-Policy (https://www.w3.org/TR/CSP3/)."""

import base64
import hashlib
import re


def hash_source(html: str, element: str) -> str:
    """The source that permits the only inline `element` (`script` or `style`) of `html` and no other: its hash."""
    (content,) = re.findall(f'<{element}(?: type="module")?>(.*?)</{element}>', html, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
