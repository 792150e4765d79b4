/* test_condition_portable.c - test_condition.c on the form without a choice of
 * clocks. */
#include "config.h"

#undef HAVE_PTHREAD_CONDATTR_SETCLOCK
#include "base/condition.c"
#if defined(HAVE_PTHREAD_CONDATTR_SETCLOCK)
#error "this is the other form"
#endif

#include "test_condition.c"
