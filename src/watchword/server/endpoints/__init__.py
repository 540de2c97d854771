"""The first-party API and the documents every verifier reads: HTTP in and out, and nothing else."""
