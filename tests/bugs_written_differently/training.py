"""The bugs of lesson 8 in other words."""
