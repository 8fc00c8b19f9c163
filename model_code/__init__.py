"""Networks, the training loop, export and serving; imports none of the other layers."""
