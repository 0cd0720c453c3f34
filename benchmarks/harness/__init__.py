"""What `run`, `growth` and `budget` share. Standard library only; everything stays on the loopback interface."""
