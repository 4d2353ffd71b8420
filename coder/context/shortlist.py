"""What a selector rereads before the packing: the first files of a ranking with their outlines. Knows no model."""

from msgspec import Struct

from coder.context.corpus import Corpus
from coder.context.excerpt import outline_text
from coder.context.index import Index
from coder.context.rank import Ranking, shares
from coder.text import redact

LENGTH = 60  # files: on public commits 98.6 % of what a task changes is among them
OUTLINED = 30  # of them with an outline
SURE = 0.5  # share of the probability from which on the first file needs no second look


class Shortlist(Struct, frozen=True):
    """`files`: path and outline ("" for none), best first. `sure`: the first one stands out by itself."""

    files: tuple[tuple[str, str], ...] = ()
    sure: bool = True


def short_list(corpus: Corpus, ranking: Ranking, index: Index) -> Shortlist:
    first = [corpus.documents[place] for place in ranking.order[:LENGTH]]
    found = index.symbols([document.key for document in first[:OUTLINED]])
    weights = {match.term.number: match.weight for match in ranking.matches}
    outlines = {key: redact(outline_text(facts.outline(), weights)) for key, facts in found.items()}
    share = shares(ranking.scores).get(ranking.order[0], 0.0) if first else 1.0
    return Shortlist(tuple((document.path, outlines.get(document.key, "")) for document in first), share >= SURE)
