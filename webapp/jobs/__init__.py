"""When it runs: queues, one thin module per job, the schedule; the only rq beside worker.py."""
