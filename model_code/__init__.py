"""The networks, the training loop, preprocessing and the exported model; imports nothing of the other layers."""
