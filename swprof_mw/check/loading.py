"""The app as its server loads it: by import, and by a call where a factory makes it. It is never asked anything."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from swprof_mw.check.finding import CheckError
from swprof_mw.config import ConfigError

#: What a module's app is called where its name is not given, first found wins.
_NAMES = ("app", "application")


def load(target: str, directory: Path, factory: bool = False) -> Any:
    """The app that ``MODULE:APP`` names, with ``directory`` first on the import path, as servers have it.

    What is printed meanwhile goes to stderr.

    Args:
        target: ``APP`` may be left out, a path of attributes, or a call with literals: ``shop:create_app("test")``.
        directory: where the module is.
        factory: whether ``APP`` is to be called.

    Raises:
        CheckError: it cannot be loaded.
        ConfigError: it is put together with settings that are not valid.
    """
    module_name, _, expression = target.partition(":")
    if module_name.endswith(".py") or not all(part.isidentifier() for part in module_name.split(".")):
        raise CheckError(f"{target}: {module_name!r} is not the name of a module, as in shop:app or shop.wsgi:app")
    with _as_a_server(target, directory):
        module = importlib.import_module(module_name)
        found = _evaluated(module, expression, target)
        return found() if factory else found


def load_django(settings: str, directory: Path) -> Any:
    """The app of the Django site with these settings: what they name as theirs, or else Django's own for WSGI.

    Raises:
        CheckError: it cannot be loaded.
    """
    with _as_a_server(settings, directory):
        os.environ["DJANGO_SETTINGS_MODULE"] = settings
        import django

        django.setup()
        from django.conf import settings as configured
        from django.core.wsgi import get_wsgi_application
        from django.utils.module_loading import import_string

        named = getattr(configured, "WSGI_APPLICATION", None) or getattr(configured, "ASGI_APPLICATION", None)
        return import_string(named) if named else get_wsgi_application()


def is_factory(app: Any) -> bool:
    """Whether that is rather a function that makes an app, to be called without arguments."""
    if not inspect.isfunction(app):
        return False
    parameters = inspect.signature(app).parameters.values()
    return all(one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters)


@contextlib.contextmanager
def _as_a_server(target: str, directory: Path) -> Any:
    """What goes wrong inside is told in a line; but a setting of ours that is not valid is a finding."""
    sys.path.insert(0, str(directory))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (CheckError, ConfigError):
        raise
    except (Exception, SystemExit) as error:
        raise CheckError(f"{target} cannot be loaded: {_described(error, target, directory)}") from error


def _evaluated(module: Any, expression: str, target: str) -> Any:
    if not expression:
        found = next((getattr(module, name) for name in _NAMES if hasattr(module, name)), None)
        if found is None:
            raise CheckError(f"{target} has neither {' nor '.join(_NAMES)}: give {target}:NAME")
        return found
    try:
        tree = ast.parse(expression, mode="eval").body
        call = tree if isinstance(tree, ast.Call) else None
        arguments = [ast.literal_eval(each) for each in call.args] if call else []
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords} if call else {}
        function = _attribute(module, call.func if call else tree)
    except (SyntaxError, ValueError):
        raise CheckError(f"{target}: {expression!r} is neither a name nor a call with literals") from None
    except AttributeError as error:
        raise CheckError(f"{target}: {error}") from None
    return function(*arguments, **named) if call else function


def _attribute(module: Any, node: ast.expr) -> Any:
    """What a name, or names with dots between, are in a module. Raises ``ValueError`` for anything else."""
    if isinstance(node, ast.Attribute):
        return getattr(_attribute(module, node.value), node.attr)
    if isinstance(node, ast.Name):
        return getattr(module, node.id)
    raise ValueError


def _described(error: BaseException, target: str, directory: Path) -> str:
    """The error, and the last line of the app's that it passed."""
    words = (f"{type(error).__name__}: {error}".strip(": ").splitlines() or [""])[0]
    package = target.partition(":")[0].partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return f"{words} in {directory}: run this where the app's server runs, or give the directory by --app-dir"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename).is_relative_to(directory)]
    return f"{words} ({places[-1]})" if places else words
