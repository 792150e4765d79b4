/*
 * fakehost.h - a host for one transport plugin, small enough to see through.
 *
 * It has what plugins call (watches, timers, jobs, options, made_socket(), ...)
 * over poll(), and keeps a record of what they said.  Breaking the rules of
 * transport.h fails the test that runs.
 * Above: the tests of transports.  Below: cmocka, <weir/transport.h>.
 */
#ifndef TESTS_PLUGINS_FAKEHOST_H
#define TESTS_PLUGINS_FAKEHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/transport.h>

#define FAKE_DEADLINE_MS 10000 /* for anything that should happen at all */

struct fake_option {
    const char *name, *text; /* text NULL: a number */
    int64_t number;
};

/* A connection in the messages shape. */
struct weir_link {
    weir_ep *ep;
    const weir_link_ops *ops; /* NULL: there is none */
    void *self;
    bool down;

    /* What waits to be sent: `queued` messages, each of these octets, of
     * which the first one may have been peeked at. */
    const void *octets;
    size_t size;
    int queued;

    /* What came: whole messages that are the same, others, and units lost. */
    int right, wrong, gaps;
};

struct weir_ep {
    const weir_transport_ops *ops;
    weir_reactor *reactor;
    void *self; /* NULL: no bind() or dial(), or closed */
    uint64_t scope;
    bool binds, attached, closing;
    uint32_t direction; /* WEIR_PEER_SEND_ONLY, WEIR_PEER_RECV_ONLY or 0 */
    weir_link link;
    struct fake_option options[8];
    int n_options;
    char actual[512]; /* what bind() said */

    /* The last error of a call. */
    weir_error error;
    char error_text[512];

    /* Listeners of a binder. */
    int listeners[16], n_listeners;

    /* Connections, the newest one in detail. */
    int made, fd, lost; /* lost: the host had no memory for it */
    char local[128], remote[128];
    char uid[24], gid[24], pid[24]; /* its properties */

    /* An attempt under way, and how the last one failed. */
    bool trying;
    int failed, permanent, code;
    char reason[512];

    int logs; /* lines logged */

    /* Splices. */
    weir_ep *partner;
    int splices, splice_result; /* what splice() is to answer, 0 = join */
};

/* A turn or a job that is due. */
struct fake_item {
    struct fake_item *next;
    int64_t id;
    int fd;          /* a watch; -1 otherwise */
    unsigned events; /* of a watch */
    uint64_t due;    /* of a timer, in ns */
    weir_turn *turn;
    void *arg;
};
struct fake_job;

struct weir_reactor {
    struct fake_item *items;
    struct fake_job *jobs;
    int64_t last_id;
    int wake[2]; /* finished jobs write here */
    weir_ep *binders[16];
    int n_binders;
    int drops; /* jobs dropped so far */
};

/* Asked before a call of the host's that may fail; true: it fails, with the
 * code in errno.  NULL: none does. */
extern int (*fake_fault)(int code);

extern const weir_host fake_host;
extern const weir_transport_host fake_more;

/* Begin and end.  The end fails if anything is still watched or timed, and
 * waits for the threads of cancelled jobs. */
void fake_reactor_init(weir_reactor *reactor);
void fake_reactor_fini(weir_reactor *reactor);

/* The only transport of a plugin. */
const weir_transport_ops *fake_ops(const weir_plugin *plugin);

void fake_ep_init(weir_ep *ep, weir_reactor *reactor,
                  const weir_plugin *plugin);
void fake_set(weir_ep *ep, const char *option, int64_t number);
void fake_set_text(weir_ep *ep, const char *option, const char *text);

/* bind() or dial(); what they return. */
int fake_bind(weir_ep *ep, const char *address);
int fake_dial(weir_ep *ep, const char *address);

/* attach(), retry(), cancel(), close(). */
int fake_attach(weir_ep *ep);
void fake_retry(weir_ep *ep);
void fake_cancel(weir_ep *ep);
void fake_close(weir_ep *ep);

/* The link of the messages shape is over: close it. */
void fake_end_link(weir_ep *ep);

/* Have `n` more messages of these octets, which stay as they are, in the
 * queue of the link, and tell it.  A link that receives takes such messages
 * for right ones. */
void fake_expect(weir_ep *ep, const void *octets, size_t size);
void fake_queue(weir_ep *ep, const void *octets, size_t size, int n);

/* bind(), or dial(), and attach(), which must not fail. */
void fake_serve(weir_ep *ep, const char *address);
void fake_connect(weir_ep *ep, const char *address);

/* bind() must fail with this code and a sentence that has both the address
 * and the token in it. */
void fake_refuses(weir_reactor *reactor, const weir_plugin *plugin,
                  const char *address, int code, const char *token);

/* Close the newest connection's descriptor. */
void fake_hang_up(weir_ep *ep);

/* Give turns until `*counter` is at least `value`.  False at the deadline. */
bool fake_run(weir_reactor *reactor, const int *counter, int value);

/* Give turns for this long. */
void fake_run_for(weir_reactor *reactor, int ms);

/* Milliseconds of the monotonic clock. */
uint64_t fake_now(void);

#endif
