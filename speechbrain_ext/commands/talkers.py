"""What `separate` says of the outputs: how many voices, and when."""

from pathlib import Path

from speechbrain_ext.inference.streaming import StoredEstimates


def describe_talkers(stored: StoredEstimates, written: int) -> list[dict]:
    """Say of each file that is written when its voice speaks."""
    if stored.active is None:
        return [{}] * written
    there = stored.active.any(1)
    rows = stored.active if written == len(stored) else stored.active[there]
    return [
        {
            "talkers": int(there.sum()),
            "speaks": stored.activity.intervals(row),
        }
        for row in rows
    ]


def tell_outputs(
    work, path: Path, stored: StoredEstimates, written: int
) -> None:
    """Say how many voices there are, and what was left out."""
    if stored.active is not None:
        hop = stored.activity.hop / stored.sample_rate
        voices = [row.sum() * hop for row in stored.active if row.any()]
        at_once = (stored.active.sum(0) > 1).sum() * hop
        seconds = ", ".join(f"{voice:.1f} s" for voice in voices)
        work.say(
            f"{path}: {len(voices)} talker{'s' * (len(voices) > 1)} "
            f"({seconds}; {at_once:.1f} s at once)"
        )
    if written < len(stored):
        work.say(
            f"{path}: {len(stored) - written} of {len(stored)} outputs are "
            "silent and were left out"
        )
