/* tests.c - the tests of `weir bench`. */
#include "config.h"

#include <string.h>

#include "side.h"

extern const struct weir_side_test weir_side_thr, weir_side_lat;

const struct weir_side_test *const weir_side_tests[] = {
    &weir_side_thr,
    &weir_side_lat,
    NULL,
};

const struct weir_side_test *weir_side_find(const char *name)
{
    for (size_t i = 0; weir_side_tests[i]; i++) {
        if (strcmp(weir_side_tests[i]->name, name) == 0)
            return weir_side_tests[i];
    }
    return NULL;
}
