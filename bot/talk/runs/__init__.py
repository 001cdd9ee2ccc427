"""What is said about runs: how they stand, their progress, and having them once more."""
