"""How Cal.com says no: one exception, and the two shapes in which it leaves (API facts, §1)."""

from datetime import datetime

from webapp.sandbox.instants import with_milliseconds
from webapp.sandbox.records import Json

CODES = {
    400: "BadRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    405: "MethodNotAllowedException",
    409: "ConflictException",
    422: "UnprocessableEntityException",
    429: "ThrottlerException",
    498: "TokenExpiredException",
}


class Refusal(Exception):
    """A refused request. `bare` asks for the second shape, without an envelope."""

    def __init__(self, status: int, message: str, *, bare: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.bare = bare


def refusal_body(refusal: Refusal, *, path: str, at: datetime) -> Json:
    """The JSON of a refusal, in the shape it asks for."""
    if refusal.bare:
        return {"statusCode": refusal.status, "message": refusal.message}
    code = CODES.get(refusal.status, "InternalServerErrorException")
    return {
        "status": "error",
        "timestamp": with_milliseconds(at),
        "path": path,
        "error": {
            "code": code,
            "message": refusal.message,
            "details": {"message": refusal.message, "statusCode": refusal.status},
        },
    }


def whole_number(text: str) -> int | None:
    """A number of at most 18 digits, as an address or a query holds it; else None."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def booking_not_found(uid: str) -> Refusal:
    return Refusal(404, f"Booking with uid={uid} was not found in the database")
