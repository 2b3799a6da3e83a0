"""A site and its key. What a form that cannot act at its port is told: tests/network/test_acts.py."""

from peftlab.network.anchor import site_key
from peftlab.site import Site


def test_site_keys():
    assert site_key(Site(3, "q")) == "3_q"
