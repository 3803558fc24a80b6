"""Results before pictures: a drawing that fails does not cost the results of a test.

Seen in mmengine 0.10.12: what a hook raises while pictures are predicted ends the test unmeasured.
"""

from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log


def keep_results(hooks: list[Hook]) -> None:
    """Let visualization hooks raise after the results of a test are written, not before.

    A drawing that fails ends the drawing, not the test; its error comes when all else is done.
    """
    for hook in hooks:
        if type(hook).__name__.endswith("VisualizationHook"):
            _guard(hook)


def _guard(hook: Hook) -> None:
    draw, end = hook.after_test_iter, hook.after_test
    failures: list[Exception] = []

    def after_test_iter(*args: Any, **kwargs: Any) -> None:
        if not failures:
            _collect(draw, failures, *args, **kwargs)

    def after_test(*args: Any, **kwargs: Any) -> None:
        end(*args, **kwargs)
        if failures:
            raise failures.pop()

    hook.after_test_iter, hook.after_test = after_test_iter, after_test


def _collect(
    draw: Callable[..., None], failures: list[Exception], *args: Any, **kwargs: Any
) -> None:
    try:
        draw(*args, **kwargs)
    except Exception as error:
        failures.append(error)
        message = f"drawing failed ({error!r}); no more pictures, the test goes on for its results"
        print_log(message, logger="current", level=30)
