"""Where we change what the toolkits do, other than by classes of our own in their registries.

One patch a module. Each says why, what upstream version it was seen in, and has a test in
``tests/toolkits/patches/`` that fails once upstream no longer needs it (``test_upstream_...``):
then the patch can go. Those of whole classes and tables are made by
:func:`fdam_mm.toolkits.patches.everywhere.patch_toolkits`, the first two by
:mod:`fdam_mm.models` before it imports a toolkit, the others on one object, by its user.

=====================  ======================================================  ==================
module                 what it changes                                         where it holds
=====================  ======================================================  ==================
absent_kernels         mmcv calls CUDA kernels it was not compiled with        the process
absent_operations      mmdet cannot be imported without mmcv's operations      the process
atomic_backend         mmengine writes files in place                          the process
best_scores            a nan or an infinity stays the best score               a hook
checkpoint_loading     mmengine unpickles checkpoints                          a run or a call
default_scope          mmengine keeps a finished run's scope                   a run
initialization_log     two lines for every parameter                           the process
mixed_sizes            mmseg cannot predict a batch of several sizes           a segmentor
packaged_configs       ``mmseg::`` configs of onedl-mmsegmentation not found   the process
results_first          a failed drawing costs a test's results                 a hook
rotated_ap             four Pythons are started for each AP of rotated boxes   the process
sample_errors          errors of loading name no file                          a data set
train_loops            loops cannot begin in the middle                        a loop
=====================  ======================================================  ==================
"""
