"""`course bench`: how fast our model is, beside Hugging Face's GPT-2 of the same shape and weights.

machine.py    what it ran on, and how fast that multiplies and reads memory
peers.py      one set of weights in both models
workloads.py  what is timed: a training step, a prefill, decoding, growth with length
timing.py     the two take turns; medians, ratios and their spread
report.py     the table, the JSON and the picture
"""
