"""Spica post-trains vision-language models into slow thinkers: one recipe, from two CPU cores to 64 GPUs."""
