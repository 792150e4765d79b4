/* test_park_portable.c - test_park.c on the form without futexes. */
#include "config.h"

#undef HAVE_FUTEX
#include "base/park.c"
#if defined(HAVE_FUTEX)
#error "this is the other form"
#endif

#include "test_park.c"
