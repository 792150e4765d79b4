/* test_condition_portable.c - test_condition.c on the form without a choice of
 * clocks. */
#include "config.h"

#undef HAVE_PTHREAD_CONDATTR_SETCLOCK
#include "base/condition.c"

#include "test_condition.c"
