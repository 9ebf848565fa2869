"""Networks: tensors in, tensors out. They know `core` alone."""
