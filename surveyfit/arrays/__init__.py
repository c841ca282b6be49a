"""Cutouts as NumPy arrays in, a table out: the fit without files and without Dask."""
