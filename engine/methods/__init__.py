"""One file for each word that people can type after `/finetune`; heavy imports live inside functions."""
