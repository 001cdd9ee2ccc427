"""What comes from the Hub: base models, looked at first and fetched later, and the embedded ones beside them."""
