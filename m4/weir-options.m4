# weir-options.m4 - what configure of weir asks more than once.

# WEIR_TRY_CFLAGS(VARIABLE, FLAG...)
# Add to VARIABLE each FLAG that the compiler knows.
AC_DEFUN([WEIR_TRY_CFLAGS], [
m4_foreach_w([weir_flag], [$2], [
AC_MSG_CHECKING([whether $CC takes ]weir_flag)
weir_saved_cflags=$CFLAGS
CFLAGS="$CFLAGS -Werror weir_flag"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); $1="$$1 weir_flag"],
    [AC_MSG_RESULT([no])])
CFLAGS=$weir_saved_cflags
])])

# WEIR_PLUGIN(NAME)
# An option --disable-NAME and a conditional BUILD_NAME for a plugin in the
# folder plugins/ that needs nothing beyond libc.
AC_DEFUN([WEIR_PLUGIN], [
m4_pushdef([weir_var], m4_translit([$1], [-], [_]))
AC_ARG_ENABLE([$1],
    [AS_HELP_STRING([--disable-$1], [do not build the plugin ]weir_var)],
    [], [enable_[]weir_var=yes])
AM_CONDITIONAL([BUILD_]m4_toupper(weir_var),
    [test "x$enable_[]weir_var" != xno])
AS_IF([test "x$enable_[]weir_var" != xno],
    [weir_plugins="$weir_plugins weir_var"
    WEIR_WILL([plugin ]weir_var)],
    [WEIR_WILL_NOT([plugin ]weir_var, [--disable-$1 was given])])
m4_popdef([weir_var])
])

# WEIR_PEER(VARIABLE, NAME, HEADER, LIBRARY, FUNCTION)
# Another messaging library that `weir bench` can be compared with: sets
# VARIABLE_LIBS and the conditional HAVE_VARIABLE.
AC_DEFUN([WEIR_PEER], [
AC_ARG_WITH([$2],
    [AS_HELP_STRING([--without-$2], [no benchmark helper for $2])],
    [], [with_$2=check])
weir_why="--without-$2 was given"
have_$2=no
AS_IF([test "x$with_$2" != xno], [
    weir_why="no $3 or no lib$4"
    AC_CHECK_HEADER([$3],
        [AC_CHECK_LIB([$4], [$5], [have_$2=yes; $1_LIBS=-l$4])])])
AS_IF([test "x$with_$2$have_$2" = xyesno], [AC_MSG_ERROR([$2: $weir_why])])
AC_SUBST([$1_LIBS])
AM_CONDITIONAL([HAVE_$1], [test $have_$2 = yes])
AS_IF([test $have_$2 = yes], [WEIR_WILL([benchmark against $2])],
    [WEIR_WILL_NOT([benchmark against $2], [$weir_why])])
])

# WEIR_LOOP(VARIABLE, MODULE)
# A library with an event loop, for whose recipe there is a test: adds MODULE
# to weir_have.
AC_DEFUN([WEIR_LOOP], [
PKG_CHECK_MODULES([$1], [$2], [weir_have="$weir_have $2"
    WEIR_WILL([a test of the recipe for $2])],
    [WEIR_WILL_NOT([a test of the recipe for $2], [pkg-config finds no $2])])
])

# WEIR_WILL(WHAT), WEIR_WILL_NOT(WHAT, WHY)
# Lines of the summary at the end of configure.
AC_DEFUN([WEIR_WILL], [weir_will="$weir_will
    $1"])
AC_DEFUN([WEIR_WILL_NOT], [weir_will_not="$weir_will_not
    $1: $2"])
