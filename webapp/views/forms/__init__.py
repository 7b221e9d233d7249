"""The forms that hold more than a button: their fields, and what is wrong with what was typed."""
