"""What is said of losses."""

from __future__ import annotations

from rdbtool.findings import Finding, Severity


def loss_findings(losses: dict[str, int], path: str, why: str = "what is written cannot say it") -> list[Finding]:
    """A warning per kind of what was lost on the way to ``path``."""
    return [
        Finding(Severity.WARNING, "loss", f"{kind}: {count:,}; {why}", path) for kind, count in sorted(losses.items())
    ]


def miscount_findings(miscounted: int, path: str) -> list[Finding]:
    """What to say where streams of an input hold another number of entries than they say."""
    if not miscounted:
        return []
    message = "streams hold another number of entries than they say: Redis 8.10 refuses the file, older servers load it"
    return [Finding(Severity.WARNING, "stream-count", message, path)]
