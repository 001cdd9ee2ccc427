"""What happens inside a training: rows as tokens, weights, losses, the loop, checkpoints and samples."""
