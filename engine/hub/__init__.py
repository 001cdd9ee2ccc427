"""The Hugging Face Hub: names, rights, base models and datasets in, model cards and models out."""
