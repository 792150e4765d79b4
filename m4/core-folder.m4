# core-folder.m4 - let the tree have a folder named `core`.
#
# Configure removes the core dumps of crashed test programs with `rm -f core`.
# Here `core` is a folder: rm complains each time, and in one place its failure
# keeps the files beside it (confdefs.h) from being removed.  The private macros
# that hold these commands are defined once more with their own text, less the
# word; where a later autoconf has no such text, nothing changes.
# This file is included before AC_INIT, the first macro that expands them.

m4_define([_WEIR_KEEP_CORE], [m4_ifdef([$1], [m4_define([$1],
    m4_bpatsubst(m4_dquote(m4_defn([$1])), [rm -f core ], [rm -f ]))])])

_WEIR_KEEP_CORE([_AC_INIT_PREPARE])
_WEIR_KEEP_CORE([_AC_COMPILE_IFELSE])
_WEIR_KEEP_CORE([_AC_LINK_IFELSE])
_WEIR_KEEP_CORE([_AC_RUN_IFELSE])
_WEIR_KEEP_CORE([_AM_PROG_CC_C_O])
