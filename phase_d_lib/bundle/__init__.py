"""A report for a reviewer: one folder and one zip that open offline and can be checked.

One noun a module: `archive` opens a folder or a zip without trusting it; `manifest` lists what is
inside; `reading` turns a report's files back into what it was made from; `privacy` takes names and
paths out; `rawruns`, `notebooks`, `claims`, `index` are the parts of a bundle and `collect` puts
them together; `recompute` computes the results again from raw samples, `differences` sets two
values side by side and `verify` does both; `comparison` tests two reports against each other.
"""
