"""The Hugging Face Hub: the client, names and rights; base models come by `download`, models leave by `upload`."""
