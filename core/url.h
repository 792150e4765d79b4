/*
 * url.h - an endpoint's URL in its parts: scheme://address?option=value&...
 * Above: endpoint.c registry.c.  Below: value.h.
 *
 * Two steps, since which options there are depends on the scheme: init takes
 * off the scheme, split takes off the options.
 */
#ifndef WEIR_URL_H
#define WEIR_URL_H

#include <stdbool.h>
#include <stddef.h>

#define WEIR_URL_MAX    1024 /* octets of a URL */
#define WEIR_SCHEME_MAX 31   /* octets of a scheme */
#define WEIR_URL_ROOM   32   /* options in one URL */

struct weir_url_option {
    const char *name;
    const char *value; /* decoded; may have a NUL inside, has one behind */
    size_t size;
};

/* Has pointers into itself: never copy it by assignment. */
struct weir_url {
    char text[WEIR_URL_MAX + 1];
    const char *scheme, *address;
    size_t n_options;
    struct weir_url_option options[WEIR_URL_ROOM];
    const char *unknown; /* why a '?' stayed in the address, see below */
    size_t unknown_size;
};

/* Is it a scheme: a letter, then letters, digits, + - . ; all lower case? */
bool weir_url_is_scheme(const char *text, size_t size);

/* Take a URL apart into scheme and address; the address is all that follows
 * "://", as it was written.
 * Errors: -EINVAL NULL, too long, no "://", or not a scheme. */
int weir_url_init(struct weir_url *url, const char *text);

/* Take off the options: what follows the last '?' of the address, when
 * known(arg, name) is true for each name in it; else the address stays whole,
 * and `unknown` is the first name that is not known, without a NUL behind it.
 * Values are percent-decoded, names are not.
 * Errors: -EINVAL an option without '=', a '%' without two hexadecimal
 * digits, or too many options.  The URL is then of no use. */
int weir_url_split(struct weir_url *url,
                   bool (*known)(void *arg, const char *name), void *arg);

#endif
