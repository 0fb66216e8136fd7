"""Messages to other systems: signed, delivered at least once, written as the receiver wants them."""
