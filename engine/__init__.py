"""THE WORK: checking datasets, planning, training and publishing. It has never heard of a chat."""
