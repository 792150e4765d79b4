#include "config.h"

#include "url.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "value.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_scheme_octet(char c)
{
    return is_lower(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' ||
           c == '.';
}

bool weir_url_is_scheme(const char *text, size_t size)
{
    size_t i;

    if (size == 0 || size > WEIR_SCHEME_MAX || !is_lower(text[0]))
        return false;
    for (i = 1; i < size; i++) {
        if (!is_scheme_octet(text[i]))
            return false;
    }
    return true;
}

int weir_url_init(struct weir_url *url, const char *text)
{
    size_t size = text ? strnlen(text, WEIR_URL_MAX + 1) : 0;
    char *end;

    if (!text)
        return weir_fail(EINVAL, "no URL: a null pointer was given");
    if (size > WEIR_URL_MAX)
        return weir_fail(EINVAL,
                         "URL \"%.64s...\": longer than %d octets, which is "
                         "the most",
                         text, WEIR_URL_MAX);
    memcpy(url->text, text, size + 1);
    end = strstr(url->text, "://");
    if (!end)
        return weir_fail(EINVAL, "URL \"%.128s\": no \"://\" in it", text);
    if (end == url->text)
        return weir_fail(EINVAL, "URL \"%.128s\": no scheme before \"://\"",
                         text);
    *end = '\0';
    if (!weir_url_is_scheme(url->text, (size_t)(end - url->text)))
        return weir_fail(EINVAL,
                         "URL \"%.128s\": \"%.64s\" is not a scheme: a letter "
                         "and then a-z 0-9 + - . up to %d of them",
                         text, url->text, WEIR_SCHEME_MAX);
    url->scheme = url->text;
    url->address = end + 3;
    url->n_options = 0;
    url->unknown = NULL;
    url->unknown_size = 0;
    return 0;
}

static bool is_known(const char *text, size_t size,
                     bool (*known)(void *arg, const char *name), void *arg)
{
    char name[WEIR_OPTION_NAME_MAX + 1];

    if (size > WEIR_OPTION_NAME_MAX)
        return false;
    memcpy(name, text, size);
    name[size] = '\0';
    return known(arg, name);
}

/* Are all names in "name=value&name=value" known? */
static bool all_known(struct weir_url *url, const char *list,
                      bool (*known)(void *arg, const char *name), void *arg)
{
    do {
        size_t size = strcspn(list, "=&");

        if (!is_known(list, size, known, arg)) {
            url->unknown = list;
            url->unknown_size = size;
            return false;
        }
        list += strcspn(list, "&");
    } while (*list++);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode in place: the result is never longer. */
static int decode(struct weir_url_option *option, char *text)
{
    const char *from = text;
    char *to = text;

    while (*from) {
        int high, low = -1;

        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        high = hex_digit(from[1]);
        if (high >= 0)
            low = hex_digit(from[2]);
        if (low < 0)
            return weir_fail(EINVAL,
                             "option \"%s\": \"%.3s\" is not a '%%' with two "
                             "hexadecimal digits",
                             option->name, from);
        *to++ = (char)(high << 4 | low);
        from += 3;
    }
    *to = '\0';
    option->value = text;
    option->size = (size_t)(to - text);
    return 0;
}

static int take_option(struct weir_url *url, char *text)
{
    struct weir_url_option *option = &url->options[url->n_options];
    char *equals = strchr(text, '=');

    if (url->n_options == WEIR_URL_ROOM)
        return weir_fail(EINVAL, "option \"%s\": more than %d in one URL", text,
                         WEIR_URL_ROOM);
    if (!equals)
        return weir_fail(EINVAL, "option \"%s\" in the URL has no \"=value\"",
                         text);
    *equals = '\0';
    option->name = text;
    url->n_options++;
    return decode(option, equals + 1);
}

int weir_url_split(struct weir_url *url,
                   bool (*known)(void *arg, const char *name), void *arg)
{
    char *list = strrchr(url->address, '?');
    char *next;
    int rc = 0;

    if (!list || !all_known(url, list + 1, known, arg))
        return 0;
    *list++ = '\0';
    for (; list && rc == 0; list = next) {
        next = strchr(list, '&');
        if (next)
            *next++ = '\0';
        rc = take_option(url, list);
    }
    return rc;
}
