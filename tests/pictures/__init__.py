"""Pictures of the screen, kept as files to look at and to compare with: `python -m tests.pictures` draws them anew."""
