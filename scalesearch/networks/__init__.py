"""Networks: archs, how they scale, the zoo, their blocks, what they cost."""
