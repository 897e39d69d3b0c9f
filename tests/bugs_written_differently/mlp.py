"""The bugs of lesson 6 in other words."""
