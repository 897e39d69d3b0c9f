"""The bugs of lesson 10 in other words."""
