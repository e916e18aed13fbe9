"""Natural order: numbers by their size."""

import re

_DIGITS = re.compile(r"[0-9]+")
_END_OF_FOLDER, _NUMBER = "\0", "\1"
"""Below everything that a name may hold: folders stay together, and numbers come before letters."""


def natural_key(name: str) -> tuple[str, str]:
    """A sort key that orders numbers by size and keeps folders together."""
    return _DIGITS.sub(_number, name.casefold().replace("/", _END_OF_FOLDER)), name


def _number(digits: re.Match[str]) -> str:
    """Compares by the number of digits, then by the digits: by size, at any length."""
    text = digits[0].lstrip("0")
    return f"{_NUMBER}{chr(1 + len(text))}{text}"
