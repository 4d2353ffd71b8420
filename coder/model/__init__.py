"""The model boundary: the only room that imports the SDK, and only once a request is about to be made."""

from coder.model.catalog import Catalog, Model
from coder.model.client import Client, warm
from coder.model.ledger import Ledger, Total
from coder.model.messages import (
    TOO_LONG,
    Reply,
    Request,
    ToolCall,
    ToolSpec,
    assistant_message,
    message_text,
    tool_output,
    user_message,
)
from coder.model.retry import Timeouts
from coder.model.strict import schema_of, strict_schema

__all__ = [
    "TOO_LONG",
    "Catalog",
    "Client",
    "Ledger",
    "Model",
    "Reply",
    "Request",
    "Timeouts",
    "ToolCall",
    "ToolSpec",
    "Total",
    "assistant_message",
    "message_text",
    "schema_of",
    "strict_schema",
    "tool_output",
    "user_message",
    "warm",
]
