"""The server: who may call, what they may ask, and what they are told while runs go on.

    serve      a server's life: lock, store, supervisor, listening, the end
    app        the table of routes becomes an aiohttp application
    routes     that table: method, path, handler, policy, body, answer; the handlers are in `handlers`
    guard      who may call
    live       the WebSocket
    wire       every message once

It imports no node, no tensor library and no picture library; a test looks.
"""
