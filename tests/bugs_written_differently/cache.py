"""The bugs of lesson 9 in other words."""
