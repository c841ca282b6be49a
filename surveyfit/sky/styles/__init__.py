"""The catalogue as other programs write theirs: a table of columns for each of them."""
