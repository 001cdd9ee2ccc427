"""What a run will need before it starts: parameters, defaults, base models, gates and the estimate."""
