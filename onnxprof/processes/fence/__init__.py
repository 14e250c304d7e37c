"""What keeps untrusted work from writing elsewhere and from the network, where the system can."""
