"""Where a model is served, and what is read from the environment."""

import pytest

from common.errors import UserError
from runtimes.served import address
from runtimes.served.address import Address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://host:8000", "http://host:8000"),
        ("http://host:8000/", "http://host:8000"),
        ("https://host/models/a", "https://host:443/models/a"),
        ("grpc://[::1]:8001", "grpc://[::1]:8001"),
        ("grpcs://host", "grpcs://host:443"),
    ],
)
def test_an_endpoint_has_one_form(text, url):
    found = Address.parse(text)
    assert found.url == url
    assert Address.parse(found.url) == found
    assert found.label.replace("-", "").replace(".", "").isalnum()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host:8000", "names no endpoint: write URL=http://host:8000"),
        ("ftp://host:21", "names no endpoint"),
        ("grpc://host", "names no endpoint"),
        ("http://host:port", "is no URL"),
        ("http://host:8000/v2/models/a/infer", "give what stands before /v2"),
        ("grpc://host:8001/a", "gRPC has no paths"),
        ("http://me:secret@host:8000", "leave them out, and give a token as PORTAGE_SERVED_TOKEN"),
        ("http://host:8000/?key=secret", "leave them out"),
        ("http://me:secret@host:no", "is no URL"),
    ],
)
def test_what_is_none_is_refused_without_repeating_a_secret(text, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")) as error:
        Address.parse(text)
    assert "secret" not in str(error.value)


def test_a_token_travels_encrypted_only(monkeypatch):
    monkeypatch.setenv(address.TOKEN, "abc")
    with pytest.raises(UserError, match="would travel readable to http://host:80: use https://"):
        address.token(Address.parse("http://host"))
    assert address.token(Address.parse("https://host")) == "abc"
    assert address.token(Address.parse("grpc://127.0.0.1:1")) == "abc"
    monkeypatch.setenv(address.TOKEN, "a\nb")
    with pytest.raises(UserError, match="what no HTTP header can"):
        address.token(Address.parse("https://host"))


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "4000"])
def test_a_time_is_a_number_of_seconds(monkeypatch, text):
    monkeypatch.setenv(address.TIMEOUT, text)
    with pytest.raises(UserError, match=f"{address.TIMEOUT}={text}: give a number of seconds"):
        address.timeout()


def test_the_authority_is_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv(address.CA, str(tmp_path / "none.pem"))
    with pytest.raises(UserError, match=r"none.pem: there is no such file; name one with PEM"):
        address.authority()


def test_nobody_listens(monkeypatch):
    monkeypatch.setattr(address, "_STARTS", 0.1)
    with pytest.raises(
        UserError, match=r"nobody answers at http://127.0.0.1:9 \(connection refused"
    ):
        Address.parse("http://127.0.0.1:9").check()
