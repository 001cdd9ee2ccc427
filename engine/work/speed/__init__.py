"""What makes a training fast: its choices in one place, and what is kept so that it need not be done twice."""
