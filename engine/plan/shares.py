"""How several devices share a batch."""

from engine.refusal import Refusal


def shared(batch: int, accumulation: int, ranks: int) -> tuple[int, int]:
    """Batch and accumulation of each of `ranks`, with the same product over all. Raises Refusal where it cannot be."""
    whole = batch * accumulation
    if whole % ranks:
        raise Refusal(
            f"gpus={ranks} cannot share a batch of {whole} rows evenly: make batch_size × gradient_accumulation a "
            f"multiple of {ranks}.",
            "gpus",
        )
    share = whole // ranks
    most = max(size for size in range(1, min(batch, share) + 1) if share % size == 0)
    return most, share // most
