"""The mathematics of sources: models, likelihood, Newton iteration, covariances.

Imports jax and numpy only; knows nothing of files, Dask, logging or clocks.
"""
