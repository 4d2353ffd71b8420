"""Minds: an agent is data, its turn is one page, its helpers answer one question each. What a tool does is not here."""
