/*
 * tracer.h - a child whose changes of files are counted, and at one of which
 * it is killed, or the system says no.
 *
 * It is done by ptrace(), so the child's code need not know: any plugin, and
 * the libraries below it, can be tried.
 * Above: store_crash.c.  Below: the system.
 */
#ifndef WEIR_CHECK_TRACER_H
#define WEIR_CHECK_TRACER_H

#include <stdbool.h>

struct weir_tracer_plan {
    long at;      /* the change, counted from 0; beyond all: nothing happens */
    int code;     /* the errno value that it fails with; 0: a kill */
    bool lasting; /* those that follow fail too */
};

/* Run child(arg) in a process of its own.  *fired: has it come so far?
 * *status is what waitpid() says.
 * Returns 0, -ENOSYS if there is no tracing here, or another error. */
int weir_tracer_run(const struct weir_tracer_plan *plan,
                    void (*child)(void *arg), void *arg, bool *fired,
                    int *status);

#endif
