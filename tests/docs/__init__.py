"""The pages of docs/, read as a person reads them: what they say to type is typed."""
