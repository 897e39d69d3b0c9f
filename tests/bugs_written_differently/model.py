"""The bugs of lesson 7 in other words."""
