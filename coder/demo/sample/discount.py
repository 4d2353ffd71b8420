"""Discounts on whole cents."""


def percent_off(cents, percent):
    """The price after `percent` off, rounded half up to whole cents."""
    if not 0 <= percent <= 100:
        raise ValueError("percent is between 0 and 100")
    return cents - (cents * percent + 50) // 100
