"""A sentence kept as template and facts, so that a page can show it in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Note:
    """A remark: what was seen, and where it helps, what to do."""

    message: str
    """A sentence with `{names}` for the facts."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the names stand for; JSON types."""

    def __str__(self) -> str:
        return self.message.format(**self.facts)

    def to_record(self) -> dict[str, Any]:
        """The note as JSON: `{"message", "facts"}`."""
        return {"message": self.message, "facts": dict(self.facts)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The note that `to_record` gave."""
        return cls(record["message"], record["facts"])
