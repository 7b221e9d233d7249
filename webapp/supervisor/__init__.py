"""The demo's processes as one: started in order, watched, restarted, stopped in order."""
