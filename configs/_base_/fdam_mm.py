# Registers fdam_mm's models, hooks and optimizer constructor; every config inherits it.
custom_imports = dict(imports=["fdam_mm"], allow_failed_imports=False)
