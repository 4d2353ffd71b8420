"""Numbers as people read them: money, tokens, durations, counts."""


def money(usd: float | None) -> str:
    """Dollars with the digits that matter; "$?" where some price is unknown."""
    if usd is None:
        return "$?"
    if usd == 0:
        return "$0"
    return f"${usd:.4f}" if usd < 0.1 else f"${usd:.2f}"


def tokens(number: int) -> str:
    if number < 1_000:
        return str(number)
    if number < 99_950:
        return f"{number / 1_000:.1f}k".replace(".0k", "k")
    return f"{number / 1_000:.0f}k" if number < 999_500 else f"{number / 1_000_000:.2f}M"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def share(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)}%" if whole else "0%"
