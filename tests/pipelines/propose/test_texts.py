import numpy as np
import polars as pl
import pytest

from pipelines.propose import nominal, texts
from pipelines.propose.proposal import propose

ROWS = 1200


@pytest.fixture(scope="module")
def products():
    """Products of a maker and a kind, each with a number of its own; the maker and the kind set the price."""
    random = np.random.default_rng(0)
    maker, kind = random.integers(0, 6, ROWS), random.integers(0, 7, ROWS)
    names = [
        f"Maker{chr(65 + m)} Thing{chr(65 + k)} No. {i + 5000}"
        for i, (m, k) in enumerate(zip(maker, kind, strict=True))
    ]
    return pl.Series("product", names), 3.0 * maker + kind**2 + random.normal(size=ROWS)


def share(names, price):
    return texts.share_of_words(names, nominal.targets_of(price, 0), nominal.fold_of(None, len(names)))


def test_words_of_short_texts_explain_the_target(products):
    assert share(*products) > 0.8


def test_words_that_say_nothing_and_long_texts_are_no_feature(products):
    names, price = products
    assert share(names.shuffle(seed=1), price) is None
    assert share(names + " and a description of it that goes on and on for some time", price) is None
    assert share(pl.Series([f"a{i} b{i}" for i in range(ROWS)]), price) is None


def test_names_of_products_become_a_feature_though_each_row_has_its_own(tmp_path, products):
    pl.DataFrame([products[0], pl.Series("price", products[1])]).write_csv(tmp_path / "d.csv")
    [product, _] = propose(tmp_path / "p", [str(tmp_path / "d.csv")], "price").columns
    assert (product.type, product.role) == ("category", "feature")
    assert "short texts, learned by their words, which explain 9" in product.note
