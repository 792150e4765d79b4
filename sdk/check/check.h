/*
 * check.h - conformance suites: what every plugin of a kind must do.
 *
 * They need the public interface <weir/weir.h> alone, so they run against
 * any plugin that libweir can load.  They print nothing: each case is told
 * to a callback.
 * Above: `weir check FILE`, tests.  Below: libweir.
 */
#ifndef WEIR_CHECK_CHECK_H
#define WEIR_CHECK_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include <weir/store.h>

#define WEIR_CHECK_URL 256 /* room for a URL */

enum weir_check_result {
    WEIR_CHECK_PASSED,
    WEIR_CHECK_FAILED,
    WEIR_CHECK_SKIPPED /* the transport does not claim this */
};

/* An address that must be refused. */
struct weir_check_bad {
    const char *url;   /* a whole one */
    const char *token; /* what the error's sentence must contain */
};

/* What a suite for a transport has to know. */
struct weir_check_transport {
    /* Where to bind, with %p for this process's number and %n for one that is
     * new each time: "x://name-%p-%n".  With a * in it, "tcp://127.0.0.1:*",
     * or the same as wildcard_url, it is an address that the transport has
     * picked a moment ago. */
    const char *bind_url;
    /* A wildcard, which must turn into an address that can be connected to;
     * NULL if the transport has none. */
    const char *wildcard_url;
    const struct weir_check_bad *bad; /* ends with url NULL; may be NULL */
    int patience;                     /* ms for what should come at once */
    /* Not 0: it is to groups: messages go one way, from a PUB to all SUB that
     * have this address, in whatever order they come. */
    int group;

    /* The outcome of a case.  `detail` is what went wrong or why it was
     * skipped, "" if it passed; borrowed for the call. */
    void (*report)(void *arg, const char *name, enum weir_check_result result,
                   const char *detail);
    void *arg;
};

/* Fill all but `report` and `arg` for a scheme of weir's own transports:
 * inproc, ipc, tcp.  Returns 0, or -ENOENT: the caller has to say bind_url
 * then.  The rest is set to what a group on any interface can bear for epgm and
 * pgm, and to what any transport can bear for other schemes. */
int weir_check_transport_defaults(struct weir_check_transport *check,
                                  const char *scheme);

/* Run all cases, each in a context of its own, in this process.
 * Returns how many failed. */
int weir_check_transport(const struct weir_check_transport *check);

/* What a suite for a store has to know. */
struct weir_check_store {
    const weir_store_ops *ops;

    /* Arrange that this process ends, as if it were killed, at its n-th change
     * of a file from now on, counted from 0.  Called in a child.  NULL: the
     * suite uses ptrace(), where there is that. */
    void (*kill_at)(long n);

    /* How often a child is killed at any moment. */
    int kills;

    /* Set by the suite: octets of torn tails that were found, in all. */
    uint64_t torn;

    /* As for transports. */
    void (*report)(void *arg, const char *name, enum weir_check_result result,
                   const char *detail);
    void *arg;
};

/* Run all cases for each mode that the store has, in folders of their own in
 * /tmp and with a host of the suite's own, in this process and in children of
 * it.  A mode that it has not is told of as skipped.
 * Returns how many failed. */
int weir_check_store(struct weir_check_store *check);

#endif
