"""Shows how far an ingestion is."""

from starters.ingesting import Tally
from starters.job_progress import Shown


def show(shown: Shown, tally: Tally) -> None:
    """Show how far it is."""
    shown.show(tally.total, tally.finished, rate_of(tally))


def rate_of(tally: Tally) -> str:
    """How fast it goes, on the whole."""
    seconds = max(tally.seconds, 0.001)
    return f"{tally.done / seconds:.1f} documents/s, {tally.chunks / seconds:.0f} passages/s"
