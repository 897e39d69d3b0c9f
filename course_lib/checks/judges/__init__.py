"""Who judges one case: from what was seen to a finding, or None when it is as it must be."""
