"""Images and tables on disk: FITS, backgrounds, detection, cutouts, catalogues.

Imports neither jax nor dask.
"""
