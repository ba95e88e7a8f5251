"""Selection: which candidate is best, how sure, and which trials would tell."""
