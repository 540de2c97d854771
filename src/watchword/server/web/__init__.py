"""HTTP in and out: requests read strictly, answers and errors written in one place."""
