"""What is kept: records, the intentions that change them, and the back-ends that carry them out."""
