"""The one error form, and how everything that goes wrong becomes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from organismctl.errors import InputError, OrganismError, RefusedError

_WORDS = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}


class FaultBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="A stable word.")
    message: str
    advice: str | None = Field(default=None, description="The next step.")
    effects: list[dict[str, Any]] = Field(default_factory=list, description="Of a command that was refused.")


class ErrorBody(BaseModel):
    """Every error answer."""

    error: FaultBody


class ApiError(Exception):
    """An error answer on purpose."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        advice: str | None = None,
        effects: Sequence[dict[str, Any]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.fault = {"code": code, "message": message, "advice": advice, "effects": list(effects)}
        self.headers = headers


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an endpoint, for the OpenAPI document; 429 may always come."""
    bodies = {400} if 413 in statuses else set()
    return {status: {"model": ErrorBody} for status in sorted({429, *statuses} | bodies)}


async def refuse_unknown_query(request: Request) -> None:
    """Refuse query parameters that the endpoint does not know: a mistyped one would be ignored in silence.

    Raises:
        RequestValidationError: With every unknown one.
    """
    dependant = getattr(request.scope.get("route"), "dependant", None)
    if dependant is None:
        return
    known = {parameter.alias for parameter in dependant.query_params}
    allowed = ", ".join(sorted(known)) or "none"
    unknown = [
        {
            "type": "extra_forbidden",
            "loc": ("query",),
            "msg": f"a parameter that is not known; known: {allowed}",
        }
        for name in request.query_params
        if name not in known
    ]
    if unknown:
        raise RequestValidationError(unknown)


def install(app: FastAPI) -> None:
    """Give every exception the one form."""

    @app.exception_handler(ApiError)
    async def _api(_request: Request, exc: ApiError) -> JSONResponse:
        return JSONResponse({"error": exc.fault}, exc.status, exc.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, exc: RequestValidationError) -> JSONResponse:
        # The value itself is left out: it may hold what nobody should see.
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors()[:20]]
        return _answer(422, "malformed", "; ".join(found)[:2000])

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, exc: HTTPException) -> JSONResponse:
        word = _WORDS.get(exc.status_code, "error")
        return JSONResponse(
            _form(word, str(exc.detail)), exc.status_code, dict(exc.headers) if exc.headers else None
        )

    @app.exception_handler(OrganismError)
    async def _ours(_request: Request, exc: OrganismError) -> JSONResponse:
        status = 422 if isinstance(exc, InputError) else 409 if isinstance(exc, RefusedError) else 500
        return _answer(status, "malformed" if status == 422 else "refused", exc.message, exc.advice)

    @app.exception_handler(Exception)
    async def _defect(_request: Request, _exc: Exception) -> JSONResponse:
        return _answer(500, "defect", "a defect of this node; its log has the details")


def _form(code: str, message: str, advice: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "advice": advice, "effects": []}}


def _answer(status: int, code: str, message: str, advice: str | None = None) -> JSONResponse:
    return JSONResponse(_form(code, message, advice), status)
