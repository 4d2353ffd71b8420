"""What the triage of long test logs came to, and what the main model would have taken for them: rows of the ledger."""

from msgspec import Struct

# Apart from the calls, so that a ledger of before gets it too.
LOGS = """
CREATE TABLE IF NOT EXISTS logs (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, session TEXT NOT NULL, raw_tokens INTEGER NOT NULL,
    told_tokens INTEGER NOT NULL, raw_usd REAL, usd REAL
)
"""


class LogPrice(Struct, frozen=True):
    """Logs of tests that failed, read by the triager: `usd` for its calls and the `told_tokens` that the main model
    is given, beside `raw_usd` for the `raw_tokens` that the main model would have taken to read them itself. Prices
    are None when unknown, tokens of long logs an estimate."""

    time: float
    session: str
    raw_tokens: int
    told_tokens: int
    raw_usd: float | None
    usd: float | None


class LogTotal(Struct, frozen=True):
    """Triaged logs added up; prices count the known ones."""

    triages: int = 0
    raw_tokens: int = 0
    told_tokens: int = 0
    raw_usd: float = 0.0
    usd: float = 0.0
