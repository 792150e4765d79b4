/*
 * look.h - looking into programs that have a stats endpoint: which there are,
 * and asking one.
 * Above: monitor.c, stats.c, top.c.  Below: tree.h, weir.h.
 */
#ifndef WEIR_TOOLS_LOOK_H
#define WEIR_TOOLS_LOOK_H

#include <stddef.h>

#include <weir/weir.h>

#include "args.h"
#include "text.h"
#include "tree.h"

#define WEIR_LOOK_MOST 64

struct weir_look {
    char *target; /* as it was asked for, or the file's name */
    char *url;
    weir_socket socket; /* all zero: not open */
    struct weir_text answer;
};

struct weir_looks {
    struct weir_look items[WEIR_LOOK_MOST];
    size_t count;
};

/* Find what each word means: a URL, or the name of programs that are in the
 * runtime folders ($XDG_RUNTIME_DIR/weir and /run/weir): the file NAME, those
 * that begin with NAME and a point, and NAME/stats.  No words: all there are.
 * A file that nobody listens to is passed over.
 * Returns 0, or 1 after a complaint: a name that nobody has, or too many. */
int weir_look_find(struct weir_looks *looks,
                   const struct weir_args_list *words);

/* The one that a word means; 1 after a complaint if it is not one alone. */
int weir_look_find_one(struct weir_looks *looks, const char *word);

/* Connect a DEALER, if that has not been done.
 * Returns 0 or -errno, with a sentence. */
int weir_look_open(struct weir_look *look, weir_context context);

/* Ask, and wait for the answer until `until` (weir_common_until).  The answer
 * is read into `tree`, and as a text in look->answer.
 * Returns 0 or -errno; -EPROTO is an answer that is none.  After one it was
 * closed, so that nothing late is taken for a later answer. */
int weir_look_ask(struct weir_look *look, weir_context context,
                  const char *question, uint64_t until, struct weir_tree *tree);

/* The next answer that comes to an open one; as above. */
int weir_look_hear(struct weir_look *look, uint64_t until,
                   struct weir_tree *tree);

/* Why an ask failed: the sentence of the last connection's problem, if there
 * is one. */
const char *weir_look_reason(int code);

void weir_look_close(struct weir_look *look);

/* Close all, and free what they have. */
void weir_look_fini(struct weir_looks *looks);

#endif
