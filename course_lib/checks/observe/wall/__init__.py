"""The walls around a submission, and the bytes that cross them."""
