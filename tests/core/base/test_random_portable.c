/* test_random_portable.c - test_random.c on the form that reads a device. */
#include "config.h"

#undef HAVE_GETRANDOM
#include "base/random.c"
#if defined(HAVE_GETRANDOM)
#error "this is the other form"
#endif

#include "test_random.c"
