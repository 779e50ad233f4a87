"""Every message once: what clients send, what they are answered, what they hear. OpenAPI and the browser's types are
made from these. A file for each thing that is spoken of; who speaks says `wire.RunMessage` and need not know which.

Knows nothing of HTTP.
"""
# ruff: noqa: F403 (all names of all of them are the messages)

from graph_runtime.server.wire.base import *
from graph_runtime.server.wire.drafts import *
from graph_runtime.server.wire.files import *
from graph_runtime.server.wire.live import *
from graph_runtime.server.wire.nodes import *
from graph_runtime.server.wire.problems import *
from graph_runtime.server.wire.runs import *
from graph_runtime.server.wire.system import *
from graph_runtime.server.wire.workflows import *
