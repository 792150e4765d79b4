/*
 * names.h - the table of names of inproc, one for the whole process.
 *
 * A name belongs to a context ("scope") and lasts as long as an endpoint
 * uses it.  It has at most one binder and a row of dialers that wait for one.
 * Above: transport_inproc.c.  Below: nothing.
 */
#ifndef WEIR_INPROC_NAMES_H
#define WEIR_INPROC_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/transport.h>

#define WEIR_INPROC_NAME_MAX 256 /* octets */

struct weir_inproc_name;

/* One endpoint.  The members after `name` are guarded by the table's lock. */
struct weir_inproc_end {
    const weir_host *host;
    const weir_transport_host *more;
    weir_ep *ep;
    struct weir_inproc_name *name;
    struct weir_inproc_end *prev, *next; /* in the row of waiting dialers */
    bool binds, waits;
    bool attached; /* binder: dialers may be joined to it */
};

struct weir_inproc_name {
    struct weir_inproc_name *next; /* in the table */
    struct weir_inproc_end *binder;
    struct weir_inproc_end *first, *last; /* waiting dialers, oldest first */
    uint64_t scope;
    size_t users; /* endpoints that hold this name */
    size_t size;  /* octets of the text */
    char text[];
};

/* Make the table's lock survive a fork.  May be called again.  Not from the
 * plugin's init: the loader holds its lock then, for which a fork waits, and
 * some systems let no handler be added meanwhile.
 * Errors: -ENOMEM. */
int weir_inproc_names_init(void);

/* All functions below want the lock.  It is held over the host's splice() and
 * failed(), so that neither endpoint can go away in between. */
void weir_inproc_names_lock(void);
void weir_inproc_names_unlock(void);

/* The name, made if it is new; holds it for one more endpoint.
 * Returns NULL when there is no memory. */
struct weir_inproc_name *weir_inproc_name_hold(uint64_t scope, const char *text,
                                               size_t size);

/* Give up a hold; the last one frees the name. */
void weir_inproc_name_drop(struct weir_inproc_name *name);

/* Put a dialer at the end of its name's row, take it out of it. */
void weir_inproc_name_wait(struct weir_inproc_end *dialer);
void weir_inproc_name_leave(struct weir_inproc_end *dialer);

#endif
