"""Countries by name."""

import pytest

from formats.countries import code_of


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Germany", "DE"), ("Deutschland", "DE"), ("Allemagne", "DE"), ("Германия", "DE"), ("ドイツ", "DE"),
        ("United States", "US"), ("USA", "US"), ("U.S.A.", "US"), ("Estados Unidos", "US"), ("美国", "US"),
        ("Türkiye", "TR"), ("TURKEY", "TR"), ("Côte d’Ivoire", "CI"), ("Cote d'Ivoire", "CI"), ("Österreich", "AT"),
        ("Utopia", None), ("", None), ("--", None),
    ],
)  # fmt: skip
def test_names(name, code):
    assert code_of(name) == code
