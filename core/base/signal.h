/*
 * signal.h - a descriptor that one thread makes readable for another: an
 * eventfd, or a pipe where there are none.
 * Above: reactor.h, socket.h.  Below: the system.
 */
#ifndef WEIR_BASE_SIGNAL_H
#define WEIR_BASE_SIGNAL_H

/* in == out: an eventfd. */
struct weir_signal {
    int in, out;
};

/* Not open. */
#define WEIR_SIGNAL_NONE \
    {                    \
        -1, -1           \
    }

/* Open it, not readable.  Errors: -EMFILE, -ENFILE. */
int weir_signal_open(struct weir_signal *signal);

/* Close it, if it is open. */
void weir_signal_close(struct weir_signal *signal);

/* Make `in` readable, or unreadable again.  Any thread; never waits. */
void weir_signal_set(struct weir_signal *signal);
void weir_signal_clear(struct weir_signal *signal);

#endif
