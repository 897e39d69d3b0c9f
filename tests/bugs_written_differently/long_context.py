"""The bugs of lesson 11 in other words."""
