import unittest

from basket import Basket
from discount import percent_off


class BasketTest(unittest.TestCase):
    def test_an_empty_basket_costs_nothing(self):
        self.assertEqual(Basket().total(), 0)

    def test_two_of_a_kind_cost_twice_as_much(self):
        basket = Basket()
        basket.add("pear", 40, count=2)
        self.assertEqual(basket.total(), 80)

    def test_a_discount_applies_to_the_whole_basket(self):
        basket = Basket()
        basket.add("pear", 40, count=2)
        basket.add("melon", 120)
        self.assertEqual(basket.total(percent=10), 180)

    def test_a_discount_above_everything_is_refused(self):
        with self.assertRaises(ValueError):
            percent_off(100, 101)


if __name__ == "__main__":
    unittest.main()
