"""The contract's application in FastAPI: dependencies, sync and async, on a router, in a mounted application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.responses import StreamingResponse

from tests.frameworks.api import make_guard
from watchword import Principal
from watchword.frameworks.fastapi import protect

GUARD = make_guard()
administrator = protect(GUARD, role="admin")
Caller = Annotated[Principal, Depends(protect(GUARD))]
Subject = dict[str, str | None]

app = FastAPI()


@app.api_route("/me", methods=["GET", "HEAD", "POST"])
def me(principal: Caller) -> Subject:
    return {"subject": principal.subject}


@app.get("/later")
async def later(principal: Caller) -> Subject:
    return {"subject": principal.subject}


@app.get("/pay")
def pay(principal: Annotated[Principal, Depends(protect(GUARD, scope="pay"))]) -> Subject:
    return {"subject": principal.subject}


@app.get("/admin")
def admin(principal: Principal = Depends(administrator)) -> Subject:
    return {"subject": principal.subject}


either = APIRouter(dependencies=[Depends(protect(GUARD, role=("auditor", "admin")))])


@either.get("/either")
def of_router(principal: Caller) -> Subject:
    return {"subject": principal.subject}


app.include_router(either)


@app.get("/fresh")
async def fresh(principal: Annotated[Principal, Depends(protect(GUARD, fresh=30))]) -> Subject:
    return {"subject": principal.subject}


@app.get("/open")
def optional(principal: Annotated[Principal | None, Depends(protect(GUARD, optional=True))]) -> Subject:
    return {"subject": None if principal is None else principal.subject}


inner = FastAPI(dependencies=[Depends(protect(GUARD, role="admin", body="simple"))])


@inner.get("/simple")
def mounted(principal: Caller) -> Subject:
    return {"subject": principal.subject}


@app.get("/stream")
def stream(principal: Caller) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{principal.subject}\n"

    return StreamingResponse(lines())


@app.get("/public")
def public() -> Subject:
    return {"subject": None}


@app.websocket("/socket")
async def socket(
    websocket: WebSocket, principal: Annotated[Principal, Depends(protect(GUARD, scope="pay"))]
) -> None:
    await websocket.accept()
    await websocket.send_text(principal.subject)
    await websocket.close()


app.mount("", inner)
