/*
 * fanout.h - the publisher's side: who has subscribed to what, and who gets a
 * message.  RFC 29; SUBSCRIBE and CANCEL are commands of ZMTP 3.1 (RFC 37).
 * Above: PUB, XPUB.  Below: trie.h, spread.h.
 *
 * A subscription belongs to a connection: it goes when that is lost, and the
 * peer sends it again on the next.  A peer with very many topics is forgotten
 * in steps, and many subscriptions are obeyed so (ops->tend).  The socket's
 * lock guards all.
 */
#ifndef WEIR_FANOUT_H
#define WEIR_FANOUT_H

#include "pattern/spread.h"
#include "pattern/trie.h"
#include "socket.h"
#include "zmtp.h"

enum { WEIR_FANOUT_STEP = 256 }; /* topics dealt with at a time */

struct weir_fanout {
    struct weir_trie trie;
    struct weir_spread spread;
    bool settled; /* every message goes to those in it, until that changes */
    struct weir_list leaving; /* peers that are being forgotten */
    weir_trie_left *left;     /* told of their topics; may be NULL */
    void *argument;           /* of that */
};

/* What is next in a pipe. */
enum weir_fanout_next {
    WEIR_FANOUT_NOTHING,
    WEIR_FANOUT_TOPIC,  /* a subscription, or its end, or an unknown command */
    WEIR_FANOUT_MESSAGE /* any other message */
};

void weir_fanout_init(struct weir_fanout *fanout, weir_trie_left *left,
                      void *argument);
void weir_fanout_fini(struct weir_fanout *fanout);

/* The pattern's slots, as far as they go. */
int weir_fanout_attach(struct weir_sock *sock, struct weir_fanout *fanout,
                       struct weir_pipe *pipe);
void weir_fanout_detach(struct weir_fanout *fanout);
int weir_fanout_up(struct weir_pipe *pipe);
void weir_fanout_down(struct weir_sock *sock, struct weir_fanout *fanout,
                      struct weir_pipe *pipe);
int weir_fanout_send(struct weir_sock *sock, struct weir_fanout *fanout,
                     weir_message *message);
bool weir_fanout_can_send(struct weir_sock *sock);
void weir_fanout_option(struct weir_sock *sock);
bool weir_fanout_counts(const struct weir_pipe *pipe);

/* Look at what is next.  Of a topic *command gets what it says; the octets
 * are borrowed until it is consumed (weir_queue_pass()). */
enum weir_fanout_next weir_fanout_peek(struct weir_pipe *pipe,
                                       struct weir_zmtp_command *command);

/* The next subscription cannot be had for lack of memory: it is dropped, and
 * counted, and the connection is closed, so that the peer says it again. */
void weir_fanout_give_up(struct weir_pipe *pipe);

/* Do what a subscription says.  Returns a weir_trie_change.
 * Errors: -ENOMEM, and nothing has changed. */
int weir_fanout_apply(struct weir_sock *sock, struct weir_fanout *fanout,
                      struct weir_pipe *pipe,
                      const struct weir_zmtp_command *command);

/* Go on forgetting, for one step.  False: there is nothing left. */
bool weir_fanout_forget(struct weir_fanout *fanout);

#endif
