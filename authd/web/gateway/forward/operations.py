"""What forward auth answers, for docs/reference/openapi.json."""

from __future__ import annotations

from authd.web.gateway.operations import Operation, Parameter, Response

_APPLICATION = Parameter("application", "path", "Name of the application in authd's configuration.", required=True)
_PAGE = "text/html"
_CLOSED = {
    401: Response("Nobody is logged in through this browser: a page, or JSON for scripts.", _PAGE),
    403: Response("This system has no name for the person.", _PAGE),
    404: Response("There is no such application here, or no such path.", "text/plain"),
    503: Response("authd is not heard, or there are too many browsers.", _PAGE),
}

OPERATIONS = (
    Operation(
        "GET",
        "/verify/{application}",
        "For the proxy: whether the request with this cookie may pass, and who it is of.",
        (_APPLICATION, Parameter("cookie", "header", "As the browser sent it.")),
        {
            200: Response(
                "It may pass, with these headers in place of any of the browser's.",
                headers={
                    "Remote-User": "what the application calls the person",
                    "Remote-Name": "their name",
                    "Remote-Groups": "their section",
                    "X-Authd-Assertion": "a JWT (ES256) of at most 60 s, whose audience is the application",
                },
            ),
            **_CLOSED,
        },
    ),
    Operation(
        "GET",
        "/forward/{application}/open",
        "Come in with the ticket of the seat's screen.",
        (_APPLICATION, Parameter("ticket", "query", "Good once, for 30 s.", required=True)),
        {303: Response("On to the application, with a cookie.", headers={"Location": "its start"}), **_CLOSED},
    ),
    Operation(
        "GET",
        "/forward/{application}/stream",
        "Server-sent events for an open page: `live`, `beat`, `silent`, `locked`.",
        (_APPLICATION,),
        {200: Response("Until the session ends.", "text/event-stream"), **_CLOSED},
    ),
    Operation(
        "GET",
        "/forward/{application}/closed",
        "The page that says why nothing is shown.",
        (_APPLICATION,),
        _CLOSED,
    ),
    Operation(
        "GET",
        "/forward/{application}/frame",
        "The application in a frame that is covered at once, for proxies that cannot put a script into its pages.",
        (_APPLICATION,),
        {200: Response("The page.", _PAGE), **_CLOSED},
    ),
    Operation(
        "GET",
        "/forward/{application}/guard.js",
        "The browser guard, to be put into every page.",
        (_APPLICATION,),
        {200: Response("The script.", "text/javascript"), 404: _CLOSED[404]},
    ),
)
