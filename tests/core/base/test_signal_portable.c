/* test_signal_portable.c - test_signal.c on the form without eventfds. */
#include "config.h"

#undef HAVE_EVENTFD
#include "base/signal.c"

#include "test_signal.c"
