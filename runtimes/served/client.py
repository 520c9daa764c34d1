"""A client of one server: what the protocol allows to be asked again is, and errors are sentences.

An inference changes nothing on a server, so one that failed on the way is sent again, after a
pause that doubles. Each answer is of one request: it has its identity, its number of photos and
the version of the model that answered before, so no photo counts twice and none is another model's.
"""

import itertools
import json
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from geventhttpclient.response import HTTPParseError
from tritonclient.utils import InferenceServerException

from common.errors import StepError, UnavailableError, UserError, suggest
from runtimes.served import address as addresses
from runtimes.served.address import Address
from runtimes.served.description import PHOTOS, describe

_ERRORS = (InferenceServerException, OSError, ValueError, HTTPParseError)
_PASSES = (
    *("408", "429", "502", "503", "504", "CANCELLED", "ABORTED", "UNAVAILABLE"),
    *("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"),
)
_REFUSED = ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")
_FAULTS = ("500", "INTERNAL", "UNKNOWN", "DATA_LOSS")
_TLS = ("CERTIFICATE_VERIFY_FAILED", "handshake failed", "WRONG_VERSION_NUMBER")
_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A connection of its own: a shared one would wait for longer and longer before it tries again.
    ("grpc.use_local_subchannel_pool", 1),
]
_TRIES = 3  # at least, and of a server that answers with a fault no more
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0  # seconds
_WHEN_STARTING = 5.0  # seconds that a server may be away before it answered once


class RefusedError(StepError):
    """A server says that it cannot do what it was asked for, as too many photos at a time."""


class Client:
    """Asks the server at an address; `version` is that of the model that has answered, where it
    tells, and `retried` counts the requests that were sent again."""

    def __init__(self, address: Address):
        self._address = address
        self._token = addresses.token(address)
        self._limit = addresses.timeout()
        self._patience = _WHEN_STARTING
        self._options: dict[str, Any] = {}
        if self._token:
            self._options["headers"] = {"authorization": f"Bearer {self._token}"}
        if address.grpc:
            self._options["client_timeout"] = self._limit
        self._json = {"as_json": True} if address.grpc else {}
        self._kind = tritonclient.grpc if address.grpc else tritonclient.http
        self._mine = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self.version: str | None = None
        self._model = ""
        self.retried = 0
        self._client = self._open()

    def describe(self, name: str, classes: int, side: int) -> dict[str, Any]:
        """The description of a model there (see `runtimes.served.description`)."""
        server = self._ask("its metadata", lambda: self._get("server_metadata"))
        try:
            model = self._ask("the model", lambda: self._get("model_metadata", name))
        except StepError as error:
            raise UserError(f"{error}{self._others(name)}") from None
        try:
            config = self._get("model_config", name)
        except _ERRORS:  # Triton's own; others have none
            config = {}
        about = describe(
            self._address.url, server, model, config.get("config", config), classes, side
        )
        if not self._ask("the model", lambda: self._client.is_model_ready(name, **self._options)):
            raise UserError(f"model '{name}' at {self._address.url} is there, but not ready")
        return about

    def infer(self, about: Mapping[str, Any], array: np.ndarray) -> np.ndarray:
        """The logits float32 [N, classes] of what a model takes: tensors float32 [N, 3, S, S], or
        photo files, objects [N] of bytes."""
        self._model, self._patience = about["model"], self._limit
        given = about["input"]
        if about["takes"] == PHOTOS:
            array = array.reshape([len(array), *[1] * (len(given["shape"]) - 1)])
        name = f"{self._mine}-{next(self._numbers)}"
        binary = {} if self._address.grpc else {"binary_data": about["binary"]}
        one = self._kind.InferInput(given["name"], list(array.shape), given["datatype"])
        one.set_data_from_numpy(array, **binary)
        wanted = self._kind.InferRequestedOutput(about["output"], **binary)
        answer = self._ask(
            f"model '{self._model}'",
            lambda: self._client.infer(
                *(self._model, [one]), outputs=[wanted], request_id=name, **self._options
            ),
        )
        self._check(answer.get_response(**self._json), name)
        logits = answer.as_numpy(about["output"])
        size = 0 if logits is None else logits.size
        if size != len(array) * about["classes"]:
            raise StepError(
                f"model '{self._model}' at {self._address.url} answered {len(array)} photos with "
                f"{size:,} numbers, not {about['classes']:,} for each"
            )
        return logits.reshape(len(array), -1).astype(np.float32)

    def close(self) -> None:
        self._client.close()

    def _open(self) -> Any:
        options: dict[str, Any] = {"ssl": self._address.encrypted}
        trusted = addresses.authority() or ssl.get_default_verify_paths().cafile
        if self._address.grpc:
            options["root_certificates"] = trusted if self._address.encrypted else None
            options["channel_args"] = _CHANNEL
        else:
            options |= {"connection_timeout": self._limit, "network_timeout": self._limit}
            options["ssl_options"] = {"ca_certs": trusted} if trusted else None
        return self._kind.InferenceServerClient(self._address.place, **options)

    def _get(self, what: str, *arguments: str) -> dict[str, Any]:
        return getattr(self._client, f"get_{what}")(*arguments, **self._options, **self._json)

    def _others(self, name: str) -> str:
        """A clause with the models that are there, where the server tells."""
        try:
            index = self._get("model_repository_index")
        except (*_ERRORS, AttributeError):
            return ""
        listed = index.get("models", []) if isinstance(index, dict) else index
        names = [one["name"] for one in listed]
        if not names:
            return "; it serves no model"
        return f"; SERVED_NAME= names one that is there: {suggest(name, names)}"

    def _check(self, answer: Mapping[str, Any], name: str) -> None:
        """Raise StepError unless an answer is that of the request, by the model of before."""
        if answer.get("id", name) not in (name, ""):
            raise StepError(f"{self._address.url} answered another request than it was sent")
        version = answer.get("model_version") or answer.get("modelVersion") or None
        if version and self.version and version != self.version:
            raise StepError(
                f"model '{self._model}' at {self._address.url} became version {version} in the "
                f"middle, after {self.version} had answered: run again, and all photos are judged "
                "by one"
            )
        self.version = version or self.version

    def _ask(self, what: str, call: Callable[[], Any]) -> Any:
        """What a call to the server returns, asked again as long as that may help."""
        began, pause, tries = time.monotonic(), _FIRST_PAUSE, 0
        while True:
            tries += 1
            try:
                return call()
            except _ERRORS as error:
                away = time.monotonic() - began
                if not self._passes(error):
                    raise self._final(what, error) from None
                if tries >= _TRIES and (away > self._patience or _status(error) in _FAULTS):
                    raise self._given_up(what, error, tries, away) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self.retried += 1
            self._client.close()
            self._client = self._open()

    def _passes(self, error: Exception) -> bool:
        """Whether asking again may help."""
        if any(word in str(error) for word in _TLS) or isinstance(
            error, ssl.SSLCertVerificationError
        ):
            return False
        status = _status(error)
        if status in _REFUSED:
            return False
        if not isinstance(error, InferenceServerException):
            return isinstance(error, (OSError, HTTPParseError))
        return status in (*_PASSES, *_FAULTS) or bool(self._model and not self._is_ready())

    def _is_ready(self) -> bool:
        """Whether the model answers; while a server starts, it does not know its models yet."""
        try:
            return self._client.is_model_ready(self._model, **self._options)
        except _ERRORS:
            return False

    def _final(self, what: str, error: Exception) -> Exception:
        """The error to raise where asking again would not help."""
        url, status = self._address.url, _status(error)
        if status in _REFUSED:
            sent = "refuses the token" if self._token else "asks for a token"
            return UserError(f"{url} {sent}: export {addresses.TOKEN}=… before the command")
        if any(word in str(error) for word in _TLS) or isinstance(error, ssl.SSLError):
            return UserError(
                f"{url} is not trusted ({self._words(error)}): name the certificates of its "
                f"authority: export {addresses.CA}=/path/to/ca.pem"
            )
        if not isinstance(error, InferenceServerException):
            return UserError(f"{url} does not speak KServe v2 ({self._words(error)})")
        return RefusedError(f"{url}, asked for {what}, says: {self._words(error)}")

    def _given_up(self, what: str, error: Exception, tries: int, away: float) -> Exception:
        said = f"{self._address.url}, asked for {what}, failed {tries} times in {away:.0f} s"
        if _status(error) in _FAULTS:
            return StepError(f"{said}: {self._words(error)}")
        return (UnavailableError if self._model else UserError)(
            f"{said}: {self._words(error)}; start it again, or give it more time: "
            f"export {addresses.TIMEOUT}={2 * self._limit:g}"
        )

    def _words(self, error: Exception) -> str:
        """What an error says, in a line, without what nobody may see."""
        text = " ".join((str(error) or type(error).__name__).split())
        if self._token:
            text = text.replace(self._token, "…")
        return text[:300]


def _status(error: Exception) -> str:
    """The HTTP or gRPC status of a server's answer; "" where there was none."""
    if not isinstance(error, InferenceServerException):
        return ""
    return (error.status() or "").removeprefix("StatusCode.")


def described(url: str, name: str, classes: int, side: int) -> dict[str, Any]:
    """The description of a model at a URL, as JSON."""
    client = Client(Address.parse(url))
    try:
        return json.loads(json.dumps(client.describe(name, classes, side)))
    finally:
        client.close()
