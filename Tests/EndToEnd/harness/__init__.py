"""What the end-to-end tests stand on: a test CA, a recording upstream, a raw HTTP client, and the daemon as a process."""

# How long anything may take that should happen at once, in seconds. Generous: the machine may be busy. Nothing waits for it
# when all is well.
DEADLINE = 20
