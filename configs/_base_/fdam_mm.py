# Registers all of fdam_mm's types; every config inherits it.
custom_imports = dict(imports=["fdam_mm.openmmlab"], allow_failed_imports=False)
