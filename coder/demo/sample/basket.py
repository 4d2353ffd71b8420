"""A shopping basket. Prices are whole cents."""

from discount import percent_off


class Basket:
    def __init__(self):
        self.items = []

    def add(self, name, cents, count=1):
        self.items.append((name, cents, count))

    def subtotal(self):
        return sum(cents for _, cents, _ in self.items)

    def total(self, percent=0):
        return percent_off(self.subtotal(), percent)
