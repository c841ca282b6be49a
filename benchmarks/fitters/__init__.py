"""Fitters at work on the same cutouts: a file each, and what each of them hands back."""
