"""The pages of the side panel: functions from the facts to rows. They know nothing of the screen."""
