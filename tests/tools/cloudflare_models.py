"""Holds recorded exchanges to the types of the official Cloudflare client.

Standard input has one exchange a line: method, path, query (pairs), sent, status, answer. Which
types an operation has is read out of the client's own source. Prints what differs, as JSON:
`request POST /x /field: what`, in the words of the OpenAPI check beside it.
"""

import ast
import collections.abc
import datetime
import importlib
import json
import pathlib
import re
import sys
import typing

import cloudflare
import pydantic
import typing_extensions
from cloudflare._models import BaseModel, validate_type
from cloudflare._utils import PropertyInfo
from cloudflare.types.shared.error_data import ErrorData

WRAPPERS = (typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired)
HOME = pathlib.Path(cloudflare.__file__).parent
CALLS = {
    "_get": "GET",
    "_get_api_list": "GET",
    "_post": "POST",
    "_put": "PUT",
    "_patch": "PATCH",
    "_delete": "DELETE",
}
# What a simple type is in JSON.
SIMPLE = {
    str: str,
    int: int,
    float: (int, float),
    bool: bool,
    datetime.datetime: str,
    type(None): type(None),
}
LISTS = (list, collections.abc.Iterable, collections.abc.Sequence, cloudflare._types.SequenceNotStr)


def named(call, name):
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def transformed(node):
    """The type in `maybe_transform(value, type)`."""
    for call in ast.walk(node) if node else []:
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "maybe_transform":
            return call.args[1]
    return None


def operations(file):
    """Method, path, and the types of body, query and answer, of the calls in a file."""
    module = ".".join(("cloudflare", *file.relative_to(HOME).with_suffix("").parts))
    names = vars(importlib.import_module(module))

    def known(node):
        return node and eval(compile(ast.Expression(node), str(file), "eval"), names)

    for call in ast.walk(ast.parse(file.read_text())):
        method = CALLS.get(getattr(getattr(call, "func", None), "attr", ""))
        if not isinstance(call, ast.Call) or not method or not call.args:
            continue
        path = next((n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)), "")
        method = named(call, "method").value.upper() if named(call, "method") else method
        # `options=make_request_options(query=…)`; the body stands beside it.
        options = named(call, "options")
        query = known(transformed(named(options, "query"))) if isinstance(options, ast.Call) else None
        body = known(transformed(named(call, "body")))
        yield method, path, body, query, known(named(call, "page") or named(call, "cast_to"))


def fits(template, path):
    wanted, parts = template.split("/"), path.split("/")
    return len(wanted) == len(parts) and all(w.startswith("{") or w == p for w, p in zip(wanted, parts))


def find(exchanges):
    """The operations that were called, by method and template."""
    found = {}
    paths = {exchange["path"] for exchange in exchanges}
    for file in sorted((HOME / "resources").rglob("*.py")):
        templates = set(re.findall(r'"(/[^"\s]+)"', file.read_text()))
        if any(fits(template, path) for template in templates for path in paths):
            for method, template, *types in operations(file):
                found.setdefault((method, template), types)
    return found


def unwrapped(kind):
    """A type without what is only said of it, and its name on the wire where that is another one."""
    wire = None
    while typing_extensions.get_origin(kind) in WRAPPERS:
        for said in getattr(kind, "__metadata__", ()):
            wire = said.alias if isinstance(said, PropertyInfo) and said.alias else wire
        kind = typing_extensions.get_args(kind)[0]
    return kind, wire


def fields(kind):
    """The fields of a TypedDict as they are sent: name on the wire, type, whether it has to be there."""
    for name, hint in typing_extensions.get_type_hints(kind, include_extras=True).items():
        hint, wire = unwrapped(hint)
        yield wire or name, hint, name in kind.__required_keys__


def problems(kind, value, at, but=()):
    """What a request's value has that its type does not allow."""
    kind, _ = unwrapped(kind)
    origin, args = typing_extensions.get_origin(kind), typing_extensions.get_args(kind)
    if kind in (object, typing.Any):
        return []
    if origin is typing.Union:
        tried = [problems(part, value, at, but) for part in args]
        return min(tried, key=lambda found: sum(1 if "unknown" in text else 3 for text in found))
    if origin is typing.Literal:
        return [] if value in args else [f"{at}: {json.dumps(value)} is none of {list(args)}"]
    if origin in LISTS:
        if not isinstance(value, list):
            return [f"{at}: no list"]
        return [text for item in value for text in problems(args[0], item, f"{at}/*")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{at}: no object"]
        return [text for item in value.values() for text in problems(args[1], item, f"{at}/*")]
    if typing_extensions.is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{at}: no object"]
        known = {name: (hint, needed) for name, hint, needed in fields(kind) if name not in but}
        found = [f"{at}/{name}: unknown field" for name in value if name not in known]
        for name, (hint, needed) in known.items():
            if name in value:
                found += problems(hint, value[name], f"{at}/{name}")
            elif needed:
                found.append(f"{at}/{name}: missing")
        return found
    right = isinstance(value, SIMPLE[kind]) and (kind is bool or not isinstance(value, bool))
    return [] if right else [f"{at}: {json.dumps(value)} is no {kind.__name__}"]


def extras(value, at):
    """What an answer has that its model does not name."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{at}/{name}: unknown field"
        for name, field in type(value).model_fields.items():
            yield from extras(getattr(value, name, None), f"{at}/{field.alias or name}")
    elif isinstance(value, list):
        for item in value:
            yield from extras(item, f"{at}/*")


def answered(kind, exchange):
    answer = exchange["answer"]
    if exchange["status"] >= 400:
        kind, answer = typing.List[ErrorData], answer["errors"]
    try:
        value = validate_type(type_=kind, value=answer)
    except pydantic.ValidationError as error:
        for item in error.errors():
            parts = ["*" if isinstance(part, int) else part for part in item["loc"]]
            yield f"/{'/'.join(parts)}: {item['msg']}"
        return
    # The envelope's other members are no part of the models.
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"/{name}")


def allowed(kind, key):
    """Whether a query may have a parameter; `a.b` is a member of the parameter `a`."""
    first, _, rest = key.partition(".")
    if not typing_extensions.is_typeddict(kind):
        return False
    hints = {name: hint for name, hint, _ in fields(kind)}
    return first in hints and (not rest or allowed(hints[first], rest))


exchanges = [json.loads(line) for line in sys.stdin]
known = find(exchanges)
different = set()
for exchange in exchanges:
    method, path = exchange["method"], exchange["path"]
    fitting = [key for key in known if key[0] == method and fits(key[1], path)]
    if not fitting:
        different.add(f"request {method} {path}: no such operation")
        continue
    # The one with the fewest variables: `…/batch` before `…/{id}`.
    key = min(fitting, key=lambda key: key[1].count("{"))
    body, query, answer = known[key]
    name = f"{method} {key[1]}"
    variables = {*re.findall(r"{(\w+)}", key[1]), "account_id", "zone_id"}
    if exchange["sent"] is not None:
        found = problems(body, exchange["sent"], "", variables) if body else [": has a body"]
        different.update(f"request {name} {text}" for text in found)
    for parameter, _ in exchange["query"]:
        if not allowed(query, parameter):
            different.add(f"request {name} ?{parameter}: unknown parameter")
    different.update(f"answer {name} {text}" for text in answered(answer, exchange))
print(json.dumps(sorted(different)))
