"""A request of the voice agent: `{name, args, call{call_id, from_number, …}}`. Nothing else of it
is read; the transcript that may come along is neither kept nor logged."""

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.calcom import untrusted
from webapp.calcom.untrusted import ShapeError
from webapp.sync.customers import InvalidPhone, clean_phone

LONGEST_CALL_ID = 200


class Malformed(ValueError):
    """No request at all; the text says what is missing, to whoever sets up the agent."""


@dataclass(frozen=True, slots=True)
class PhoneRequest:
    """`number`: the caller's in E.164, None where it is withheld or is no number."""

    function: str
    call_id: str
    number: str | None
    args: Mapping[str, object]


def read_request(raw: bytes, known: Mapping[str, object]) -> PhoneRequest:
    """The request for one of the known functions; raises Malformed."""
    try:
        body = untrusted.parse_json(raw)
    except ShapeError:
        raise Malformed("the body is not JSON in UTF-8") from None
    if not isinstance(body, dict):
        raise Malformed("the body has to be an object with name, args and call")
    name, args, call = body.get("name"), body.get("args"), body.get("call")
    if not isinstance(name, str) or name not in known:
        raise Malformed(f"name has to be one of: {', '.join(known)}")
    if args is not None and not isinstance(args, dict):
        raise Malformed("args has to be an object")
    if not isinstance(call, dict) or not (call_id := _call_id(call)):
        raise Malformed("call has to be an object with the call_id; send args with call")
    return PhoneRequest(name, call_id, _number(call), args or {})


def _call_id(call: Mapping[str, object]) -> str:
    text = untrusted.line(call.get("call_id"), LONGEST_CALL_ID + 1)
    return text if len(text) <= LONGEST_CALL_ID else ""


def _number(call: Mapping[str, object]) -> str | None:
    """The other end of the line: of a call that the agent itself has made, whom it called."""
    end = "to_number" if call.get("direction") == "outbound" else "from_number"
    try:
        return clean_phone(untrusted.line(call.get(end), 50))
    except InvalidPhone:
        return None
