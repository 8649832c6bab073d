"""GitHub's expressions: what stands in ${{ }} and in `if`. Operators, literals and functions as its documentation has
them ("Evaluate expressions in workflows and actions"); an unknown function or context is an error."""

import json
import re

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))|'(?P<string>(?:[^']|'')*)'"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<op>==|!=|<=|>=|&&|\|\||[!<>()\[\].,*]))"
)


class ExpressionError(Exception):
    pass


def tokenize(text):
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise ExpressionError(f"`{text}`: cannot read `{text[at:]}`")
        kind = m.lastgroup
        value = m.group(kind)
        if kind == "string":
            value = value.replace("''", "'")
        elif kind == "number":
            value = int(value, 16) if value.startswith("0x") else float(value)
        tokens.append((kind, value))
        at = m.end()
    return tokens


def number(value):
    if value is None or value == "":
        return 0.0
    if isinstance(value, (bool, int, float)):
        return float(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def truth(value):
    return not (value is None or value is False or value == "" or (isinstance(value, (int, float)) and value == 0))


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, (dict, list)):
        return "Array" if isinstance(value, list) else "Object"
    return str(value)


def equal(a, b):
    if isinstance(a, str) and isinstance(b, str):
        return a.lower() == b.lower()
    if type(a) is type(b) or (a is None and b is None):
        return a == b
    return number(a) == number(b)


def compare(a, b, op):
    if isinstance(a, str) and isinstance(b, str):
        a, b = a.lower(), b.lower()
    else:
        a, b = number(a), number(b)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def contains(where, what):
    if isinstance(where, list):
        return any(equal(item, what) for item in where)
    return text_of(what).lower() in text_of(where).lower()


def fill(pattern, *values):
    return re.sub(r"\{(\d+)\}", lambda m: text_of(values[int(m.group(1))]), text_of(pattern))


FUNCTIONS = {
    "contains": contains,
    "startswith": lambda a, b: text_of(a).lower().startswith(text_of(b).lower()),
    "endswith": lambda a, b: text_of(a).lower().endswith(text_of(b).lower()),
    "format": fill,
    "join": lambda a, sep=",": sep.join(text_of(v) for v in a) if isinstance(a, list) else text_of(a),
    "tojson": lambda a: json.dumps(a, indent=2),
    "fromjson": lambda a: json.loads(text_of(a)),
    "always": lambda: True,
}


class Parser:
    """Evaluates as it reads; `live` is False in the part of && and || that does not count."""

    def __init__(self, text, contexts, functions):
        self.text, self.contexts, self.functions = text, contexts, FUNCTIONS | functions
        self.tokens, self.at = tokenize(text), 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, None)

    def take(self, op=None):
        token = self.peek()
        if op and token != ("op", op):
            raise ExpressionError(f"`{self.text}`: wanted `{op}`, got `{token[1]}`")
        self.at += 1
        return token

    def whole(self):
        value = self.either()
        if self.at != len(self.tokens):
            raise ExpressionError(f"`{self.text}`: `{self.peek()[1]}` is too much")
        return value

    def either(self):
        value = self.both()
        while self.peek() == ("op", "||"):
            self.take()
            other = self.both()
            value = value if truth(value) else other
        return value

    def both(self):
        value = self.comparison()
        while self.peek() == ("op", "&&"):
            self.take()
            other = self.comparison()
            value = other if truth(value) else value
        return value

    def comparison(self):
        value = self.unary()
        while self.peek()[0] == "op" and self.peek()[1] in ("==", "!=", "<", "<=", ">", ">="):
            op = self.take()[1]
            other = self.unary()
            value = (equal(value, other) == (op == "==")) if op in ("==", "!=") else compare(value, other, op)
        return value

    def unary(self):
        if self.peek() == ("op", "!"):
            self.take()
            return not truth(self.unary())
        return self.member(self.primary())

    def primary(self):
        kind, value = self.take()
        if kind in ("string", "number"):
            return value
        if (kind, value) == ("op", "("):
            value = self.either()
            self.take(")")
            return value
        if kind != "name":
            raise ExpressionError(f"`{self.text}`: `{value}` begins nothing")
        if self.peek() == ("op", "("):
            return self.call(value)
        if value in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[value]
        if value not in self.contexts:
            raise ExpressionError(f"`{self.text}`: there is no context `{value}` here")
        return self.contexts[value]

    def call(self, name):
        self.take("(")
        values = []
        while self.peek() != ("op", ")"):
            values.append(self.either())
            if self.peek() == ("op", ","):
                self.take()
        self.take(")")
        if name.lower() not in self.functions:
            raise ExpressionError(f"`{self.text}`: there is no function `{name}`")
        return self.functions[name.lower()](*values)

    def member(self, value):
        while self.peek() in (("op", "."), ("op", "[")):
            if self.take()[1] == "[":
                key = self.either()
                self.take("]")
            else:
                key = self.take()[1]
            if key == "*":
                value = [v for v in (value.values() if isinstance(value, dict) else value or [])]
            elif isinstance(value, list) and not isinstance(key, str):
                value = value[int(key)] if int(key) < len(value) else None
            elif isinstance(value, list):
                value = [v.get(key) for v in value if isinstance(v, dict)]
            elif isinstance(value, dict):
                folded = {k.lower(): v for k, v in value.items()}
                value = folded.get(text_of(key).lower())
            else:
                value = None
        return value


def evaluate(text, contexts, functions=None):
    return Parser(text, contexts, functions or {}).whole()


def interpolate(value, contexts, functions=None):
    """Fills every ${{ }} of a string, list or mapping; a string that is one expression becomes its value."""
    if isinstance(value, dict):
        return {k: interpolate(v, contexts, functions) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, contexts, functions) for v in value]
    if not isinstance(value, str):
        return value
    alone = re.fullmatch(r"\s*\$\{\{((?:(?!\}\}).)*)\}\}\s*", value, re.S)
    if alone:
        return evaluate(alone.group(1), contexts, functions)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda m: text_of(evaluate(m.group(1), contexts, functions)), value, flags=re.S)


def condition(text, contexts, functions):
    """An `if`: success() && (…) unless it asks for a status itself."""
    if text is None:
        return truth(functions["success"]())
    text = text_of(text).strip()
    alone = re.fullmatch(r"\$\{\{(.*)\}\}", text, re.S)
    inner = alone.group(1) if alone else text
    if not re.search(r"\b(always|success|failure|cancelled)\s*\(", inner):
        inner = f"success() && ({inner})"
    return truth(evaluate(inner, contexts, functions))
