/* test_signal_portable.c - test_signal.c on the form without eventfds. */
#include "config.h"

#undef HAVE_EVENTFD
#include "base/signal.c"
#if defined(HAVE_EVENTFD)
#error "this is the other form"
#endif

#include "test_signal.c"
