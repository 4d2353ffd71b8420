"""What the conversation is made of: one kind of block per kind of event. Blocks know nothing of the screen."""
