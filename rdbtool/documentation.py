"""Docstrings, types and signatures of public classes as ``help`` shows them, also where mypyc compiled the class.

Compiled classes have no docstrings and know no types. What their source says, which is installed beside them, is looked
up when somebody asks.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path


def document(cls: type) -> None:
    """Let ``cls`` tell what its source says of it: its docstring, with attributes and methods, and its signature."""
    told = _Told(cls)
    # of the class alone: to set them in the class statement, the class would have to be read there
    cls.__doc__ = _Docstring(told)  # type: ignore[assignment]
    cls.__signature__ = _Signature(told)  # type: ignore[attr-defined]


class _Told:
    """What a class's source says of it."""

    def __init__(self, cls: type) -> None:
        self.module = cls.__module__
        self.name = cls.__name__
        self.docstring = ""
        self.signature: inspect.Signature | None = None
        self._read = False

    def read(self) -> None:
        """Look the source up, once."""
        if self._read:
            return
        self._read = True
        classes = _classes(self.module)
        node = classes.get(self.name)
        if node is None:
            return
        lines = [ast.get_docstring(node) or "", ""]
        lines += [f"{name}: {kind}" for name, kind in _attributes(node, classes).items()]
        for method in _methods(node, classes):
            lines += ["", *_method_lines(method)]
        self.docstring = "\n".join(lines).rstrip() + "\n"
        self.signature = _signature(node)


class _Docstring:
    """Reads as a docstring."""

    def __init__(self, told: _Told) -> None:
        self.told = told

    def __get__(self, instance: object, owner: type) -> str | None:
        if owner.__name__ != self.told.name:  # a subclass has its own
            return None
        self.told.read()
        return self.told.docstring


class _Signature:
    """Reads as the signature of a class."""

    def __init__(self, told: _Told) -> None:
        self.told = told

    def __get__(self, instance: object, owner: type) -> inspect.Signature | None:
        if instance is not None or owner.__name__ != self.told.name:
            return None
        self.told.read()
        return self.told.signature


class _Source:
    """A default, as the source has it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _classes(module: str) -> dict[str, ast.ClassDef]:
    """The classes that the source of ``module`` defines; none where it is not installed."""
    file = sys.modules[module].__file__ or ""
    source = Path(file).with_name(f"{module.rpartition('.')[2]}.py")
    if not source.exists():
        return {}
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _with_bases(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """The classes it inherits from in the same module, the farthest first, and itself."""
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            yield from _with_bases(classes[base.id], classes)
    yield node


def _attributes(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, str]:
    """The types of public attributes, by name; "" where the source does not say one."""
    found: dict[str, str] = {}
    for one in _with_bases(node, classes):
        for member in one.body:
            if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                found[member.target.id] = _type(member.annotation)
            elif isinstance(member, ast.FunctionDef):
                if member.name == "__init__":
                    found |= _assigned(member)
                elif _is_property(member):
                    found[member.name] = _type(member.returns)
    return {name: kind for name, kind in found.items() if not name.startswith("_")}


def _assigned(init: ast.FunctionDef) -> dict[str, str]:
    """What ``__init__`` makes attributes of."""
    parameters = {arg.arg: _type(arg.annotation) for arg in (*init.args.args, *init.args.kwonlyargs)}
    found: dict[str, str] = {}
    for statement in ast.walk(init):
        if isinstance(statement, ast.AnnAssign) and _is_own(statement.target):
            found[ast.unparse(statement.target).removeprefix("self.")] = _type(statement.annotation)
        elif isinstance(statement, ast.Assign) and _is_own(statement.targets[0]):
            name = ast.unparse(statement.targets[0]).removeprefix("self.")
            value = statement.value
            if isinstance(value, ast.Name) and value.id in parameters:
                found.setdefault(name, parameters[value.id])
            elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id[0].isupper():
                found.setdefault(name, value.func.id)
            elif isinstance(value, ast.Constant):
                found.setdefault(name, type(value.value).__name__)
    return found


def _is_own(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"


def _is_property(member: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "property" for d in member.decorator_list)


def _methods(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[ast.FunctionDef]:
    """The public methods."""
    found: dict[str, ast.FunctionDef] = {}
    for one in _with_bases(node, classes):
        for member in one.body:
            if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                decorators = {ast.unparse(decorator) for decorator in member.decorator_list}
                if decorators <= {"classmethod"}:
                    found[member.name] = member
    return list(found.values())


def _method_lines(method: ast.FunctionDef) -> list[str]:
    arguments = ast.unparse(method.args).partition(", ")[2]
    lines = [f"{method.name}({_plain(arguments)}) -> {_type(method.returns)}"]
    return lines + [f"    {line}".rstrip() for line in (ast.get_docstring(method) or "").splitlines()]


def _type(node: ast.expr | None) -> str:
    return "" if node is None else _plain(ast.unparse(node))


def _plain(text: str) -> str:
    """Types as those know them who do not compile."""
    return text.replace("i64", "int")


def _signature(node: ast.ClassDef) -> inspect.Signature | None:
    """How the class is called; None where its source has no ``__init__`` and no fields."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return _of_arguments(member.args)
    if any(isinstance(d, ast.Call) and ast.unparse(d.func) == "dataclass" for d in node.decorator_list):
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        fields = [m for m in node.body if isinstance(m, ast.AnnAssign) and isinstance(m.target, ast.Name)]
        return inspect.Signature([_parameter(ast.unparse(m.target), kind, m.annotation, m.value) for m in fields])
    return None


def _of_arguments(arguments: ast.arguments) -> inspect.Signature:
    positional = arguments.args[1:]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    parameters = [
        _parameter(arg.arg, inspect.Parameter.POSITIONAL_OR_KEYWORD, arg.annotation, default)
        for arg, default in zip(positional, [*missing, *arguments.defaults], strict=True)
    ]
    parameters += [
        _parameter(arg.arg, inspect.Parameter.KEYWORD_ONLY, arg.annotation, default)
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return inspect.Signature(parameters)


def _parameter(
    name: str, kind: inspect._ParameterKind, annotation: ast.expr | None, default: ast.expr | None
) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        kind,
        annotation=_type(annotation) if annotation is not None else inspect.Parameter.empty,
        default=inspect.Parameter.empty if default is None else _Source(ast.unparse(default)),
    )
