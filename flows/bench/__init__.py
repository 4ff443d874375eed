"""Speed and counts beside a peer or a limit, measured in one process by turns."""
