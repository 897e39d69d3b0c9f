"""From the text that was handed in to the component or the package it defines."""
