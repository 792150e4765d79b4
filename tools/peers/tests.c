/* tests.c - the tests of `weir bench`. */
#include "config.h"

#include <string.h>

#include "side.h"

extern const struct weir_side_test weir_side_thr, weir_side_lat,
    weir_side_burst, weir_side_paced, weir_side_fanout, weir_side_fanin,
    weir_side_duplex, weir_side_idle, weir_side_conns, weir_side_topics,
    weir_side_plugins, weir_side_device, weir_side_swap;

const struct weir_side_test *const weir_side_tests[] = {
    &weir_side_thr,     &weir_side_lat,
    &weir_side_burst,   &weir_side_paced,
    &weir_side_fanout,  &weir_side_fanin,
    &weir_side_duplex,  &weir_side_idle,
    &weir_side_conns,   &weir_side_topics,
    &weir_side_plugins, &weir_side_device,
    &weir_side_swap,    NULL,
};

const struct weir_side_test *weir_side_find(const char *name)
{
    for (size_t i = 0; weir_side_tests[i]; i++) {
        if (strcmp(weir_side_tests[i]->name, name) == 0)
            return weir_side_tests[i];
    }
    return NULL;
}
