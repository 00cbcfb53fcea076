"""A FastAPI app, and the three lines that put the gate around it.

pip install fastapi uvicorn
oidcgate init                              # writes oidcgate.toml into this folder; fill it in
oidcgate check                             # until nothing is left to say
uvicorn examples.fastapi_app:app
"""

from typing import Any

from fastapi import FastAPI, Request

from oidcgate import AsyncGate  # 1

app = FastAPI()


@app.get("/")
async def home(request: Request) -> dict[str, Any]:
    """Say who is there: nobody gets this far unknown."""
    identity = request.scope["oidcgate.identity"]  # 2
    return {"hello": identity.user_name, "path": request.url.path}


# Last, so that the gate is outermost: middleware that is added to `app` runs behind it.
app = AsyncGate.from_config(app, "oidcgate.toml")  # type: ignore[assignment]  # 3
