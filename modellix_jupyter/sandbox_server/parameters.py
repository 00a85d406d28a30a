"""Parameters of a model: their published schema, and the check of a body against it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


def _is_integer(value: object) -> bool:
    """Tell a JSON integer; `True` is an `int` in Python but not in JSON."""
    return isinstance(value, int) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model, as JSON Schema knows it.

    Parameters
    ----------
    type
        "string", "integer", "number" or "boolean".
    description
        One sentence for people.
    default
        What an absent value means; None where there is no default.
    enum
        The only values allowed; empty where others are.
    minimum, maximum
        Bounds of a number, inclusive.
    min_length, max_length
        Bounds of a string's length, inclusive.
    pattern
        A regular expression that a string must match from its start.
    """

    type: str
    description: str
    default: object = None
    enum: tuple[object, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def schema(self) -> dict[str, object]:
        """Return the parameter as a JSON Schema object, without the keys it does not use."""
        keys: dict[str, object] = {
            "type": self.type,
            "description": self.description,
            "default": self.default,
            "enum": list(self.enum) or None,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "minLength": self.min_length,
            "maxLength": self.max_length,
            "pattern": self.pattern,
        }
        return {key: value for key, value in keys.items() if value is not None}

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value, or None.

        Parameters
        ----------
        value
            Any JSON value.

        Returns
        -------
        str or None
            The end of a sentence that begins with the parameter's name.
        """
        if not _IS[self.type](value):
            return f"must be of type {self.type}"
        if self.enum and value not in self.enum:
            return f"must be one of {', '.join(map(str, self.enum))}"
        if isinstance(value, str):
            return self._text_problem(value)
        return self._range_problem(value)

    def _text_problem(self, value: str) -> str | None:
        """Check a string's length and form."""
        if self.min_length is not None and len(value.strip()) < self.min_length:
            return f"must have at least {self.min_length} character(s)"
        if self.max_length is not None and len(value) > self.max_length:
            return f"must have at most {self.max_length} characters"
        if self.pattern is not None and not re.match(self.pattern, value):
            return f"must match {self.pattern}"
        return None

    def _range_problem(self, value: object) -> str | None:
        """Check a number's range."""
        if not isinstance(value, int | float):
            return None
        if self.minimum is not None and value < self.minimum:
            return f"must be at least {self.minimum}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum}"
        return None


def complaint(
    parameters: Mapping[str, Parameter], required: Iterable[str], body: Mapping[str, object]
) -> str | None:
    """Check a request's body.

    Parameters
    ----------
    parameters
        What the model knows, by name. Names it does not know are ignored.
    required
        The names that must be there.
    body
        The request.

    Returns
    -------
    str or None
        The first thing that is wrong, or None.
    """
    for name in required:
        if name not in body:
            return f"parameter '{name}' is required"
    for name, parameter in parameters.items():
        problem = parameter.problem(body[name]) if name in body else None
        if problem:
            return f"parameter '{name}' {problem}"
    return None


def prompt(longest: int = 4000) -> Parameter:
    """Return the parameter every model has."""
    text = "What to make, in plain words."
    return Parameter(type="string", description=text, min_length=1, max_length=longest)


def seed() -> Parameter:
    """Return the parameter that tells repeats apart."""
    text = "The same seed and request give the same result; leave it out for one of its own."
    return Parameter(type="integer", description=text, minimum=0, maximum=2**31 - 1)


def choice(description: str, default: object, *others: object) -> Parameter:
    """Return a string parameter with a fixed set of values, the default first."""
    return Parameter(
        type="string", description=description, default=default, enum=(default, *others)
    )


def count(description: str, default: int, low: int, high: int) -> Parameter:
    """Return a bounded integer parameter."""
    return Parameter(
        type="integer", description=description, default=default, minimum=low, maximum=high
    )


def flag(description: str, *, default: bool) -> Parameter:
    """Return a boolean parameter."""
    return Parameter(type="boolean", description=description, default=default)


def text(description: str, longest: int = 1000) -> Parameter:
    """Return an optional string parameter."""
    return Parameter(type="string", description=description, max_length=longest)


def image() -> Parameter:
    """Return the parameter of a model that begins from a picture."""
    about = "Where the picture is: an https address, or the url that /api/v1/media/files returned."
    return Parameter(type="string", description=about, pattern=r"(https?://|data:image/)")
