"""The life of a run: the scheduler, the runner around each child, and the training child itself."""
