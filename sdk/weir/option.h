/*
 * option.h - types of options, for applications and for plugins alike.
 */
#ifndef WEIR_OPTION_H
#define WEIR_OPTION_H

enum weir_option_type {
    WEIR_OPTION_INT = 1,   /* text may carry a unit: "2s", "64MB", "100ms" */
    WEIR_OPTION_BOOL = 2,  /* "0" "1" "no" "yes" "off" "on" */
    WEIR_OPTION_TEXT = 3,  /* no NUL inside; min and max bound its length */
    WEIR_OPTION_BYTES = 4, /* any octets; min and max bound their number */
    WEIR_OPTION_CHOICE = 5 /* an int with a word for each value from 0 on */
};

enum {
    WEIR_OPTION_READ_ONLY = 1,
    WEIR_OPTION_ENDPOINT = 2 /* may stand in an endpoint's URL */
};

#endif
