import unittest

from words import shout


class Test(unittest.TestCase):
    def test_shout(self):
        self.assertEqual(shout("hey"), "HEY!")
