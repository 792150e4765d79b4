/*
 * table.c - the patterns there are.
 */
#include "config.h"

#include <string.h>

#include "pattern.h"

static const struct weir_pattern_ops *const table[] = {
    &weir_pattern_pair,   &weir_pattern_pub,  &weir_pattern_sub,
    &weir_pattern_req,    &weir_pattern_rep,  &weir_pattern_dealer,
    &weir_pattern_router, &weir_pattern_pull, &weir_pattern_push,
    &weir_pattern_xpub,   &weir_pattern_xsub,
};

static const struct {
    const char *alias, *name;
} aliases[] = {{"XREQ", "DEALER"}, {"XREP", "ROUTER"}};

const struct weir_pattern_ops *weir_pattern_by_type(enum weir_type type)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i]->type == type)
            return table[i];
    }
    return NULL;
}

static const char *unalias(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(aliases[i].alias, name) == 0)
            return aliases[i].name;
    }
    return name;
}

const struct weir_pattern_ops *weir_pattern_by_name(const char *name)
{
    const char *wanted = unalias(name);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i]->name, wanted) == 0)
            return table[i];
    }
    return NULL;
}
