"""What a config's ``type`` stands for: a name, with or without a scope, or the class itself."""

from mmengine.registry import DefaultScope, Registry

from .quiet import quiet


def class_of(kind: str | type, registry: Registry, scope: str | None = None) -> type | None:
    """The class behind a ``type``, so that it can be asked for its bases.

    Args:
        kind: A name as ``DOTADataset`` or ``mmrotate.DOTADataset``, or a class, as configs in pure
            Python have them.
        registry: Where the name is registered; one of mmengine's.
        scope: Toolkit of names without one; None takes the default scope.

    Returns:
        The class, or the function where one is registered; None for an unknown name.
    """
    if not isinstance(kind, str):
        return kind
    with (
        quiet(),
        DefaultScope.overwrite_default_scope(scope),
        registry.switch_scope_and_registry(None) as scoped,
    ):
        return scoped.get(kind)


def is_kind(
    kind: str | type, bases: type | tuple[type, ...], registry: Registry, scope: str | None = None
) -> bool:
    """Whether a ``type`` is one of ``bases`` or a class made from one."""
    found = class_of(kind, registry, scope)
    return isinstance(found, type) and issubclass(found, bases)
