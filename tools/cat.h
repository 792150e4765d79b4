/*
 * cat.h - what a run of weir cat is.
 * Above: cat.c, which does the work, and cat_setup.c, which understands the
 * arguments and opens the socket.  Below: format.h, input.h, dialog.h.
 */
#ifndef WEIR_TOOLS_CAT_H
#define WEIR_TOOLS_CAT_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/weir.h>

#include "args.h"
#include "common.h"
#include "dialog.h"
#include "format.h"
#include "input.h"

struct weir_cat_settings {
    const char *type, *send, *reply, *format;
    struct weir_args_list binds, connects, topics, options;
    bool echo;
    uint64_t count;
    double timeout;
};

enum weir_cat_source {
    WEIR_CAT_SOURCE_NONE,
    WEIR_CAT_SOURCE_TEXT,
    WEIR_CAT_SOURCE_INPUT
};
enum weir_cat_answer {
    WEIR_CAT_ANSWER_NONE,
    WEIR_CAT_ANSWER_ECHO,
    WEIR_CAT_ANSWER_TEXT
};

struct weir_cat {
    struct weir_cat_settings set;
    const struct weir_socket_kind *kind;
    enum weir_format format;
    enum weir_cat_source source;
    enum weir_cat_answer answer;
    weir_context context;
    weir_socket socket;
    struct weir_input input;
    weir_message fixed; /* the message of --send or --reply */
    weir_message next;  /* to be sent now, if has_next */
    struct weir_text out;
    uint64_t until;
    uint64_t to_send, to_receive, sent, received;
    int stop_fd;
    struct weir_dialog dialog;
    bool has_next, met_peer;
    bool keeps; /* what is sent, in a durable swap, until a peer comes */
    bool owed;  /* REQ waits for an answer; REP has to give one */
};

extern const struct weir_args weir_cat_args;

/* Understand cat->set: what is sent, what is answered, and how many.
 * Returns 0, or an exit code after a complaint. */
int weir_cat_understand(struct weir_cat *cat);

/* Open the context and the socket, with its options, subscriptions and
 * endpoints.  Returns 0, or an exit code after a complaint; the caller closes
 * what there is in either case. */
int weir_cat_open(struct weir_cat *cat);

#endif
