"""The faces: one word, ``protect``, in the idiom of each web framework; the same answers in all of them."""
