"""regard: describes a picture, translates a sentence, and shows for every word where it looked."""
