"""How text is cut into words, alike for what is kept and what is asked, in every database."""

import re
import unicodedata

LONGEST = 64
"""Longer words are cut, where they are kept and where they are asked for."""

_WORD = re.compile(rf"([^\W_]{{1,{LONGEST}}})[^\W_]*")


def words(text: str) -> list[str]:
    """The words of a text: letters and digits, in lower case and without accents.

    >>> words("Café prod_eu-west-1")
    ['cafe', 'prod', 'eu', 'west', '1']
    """
    plain = text
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)
        plain = "".join(char for char in apart if not unicodedata.combining(char))
    return _WORD.findall(plain.lower())
