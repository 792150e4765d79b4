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
    char *target; /* as it was asked for, or the file's name; plain */
    char *url;
    weir_socket socket; /* all zero: not open */
    struct weir_text answer;
    char reason[256]; /* why the last one failed; plain */
};

struct weir_looks {
    struct weir_look items[WEIR_LOOK_MOST];
    size_t count;
};

/* Find what each word means: a URL, or the name of programs that are in the
 * runtime folders ($XDG_RUNTIME_DIR/weir and /run/weir): the file NAME, those
 * that begin with NAME and a point, and NAME/stats.  No words: all there are.
 * A file that nobody listens to is passed over, and so is a symbolic link.
 * Returns 0, or 1 after a complaint: a name that nobody has, or too many. */
int weir_look_find(struct weir_looks *looks,
                   const struct weir_args_list *words);

/* The one that a word means; 1 after a complaint if it is not one alone. */
int weir_look_find_one(struct weir_looks *looks, const char *word);

/* Ask, on a connection that is made if there is none, without waiting.
 * Returns 0 or -errno, and why is in look->reason; it is closed then. */
int weir_look_send(struct weir_look *look, weir_context context,
                   const char *question);

/* Wait for the answer until `until` (weir_common_until).  It is read into
 * `tree`, and is in look->answer as a line without control characters.
 * Returns 0 or -errno, and why is in look->reason.  It is closed then, so that
 * nothing late is taken for a later answer.  -EPROTO: it is no object, or tells
 * of an error; the tree is empty. */
int weir_look_answer(struct weir_look *look, uint64_t until,
                     struct weir_tree *tree);

/* The next thing that comes without having been asked for again, if it is
 * there.  Returns 0; -EAGAIN; or what else failed, as above. */
int weir_look_hear(struct weir_look *look, struct weir_tree *tree);

void weir_look_close(struct weir_look *look);

/* Close all, and free what they have. */
void weir_look_fini(struct weir_looks *looks);

#endif
