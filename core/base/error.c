#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char sentence[WEIR_ERROR_ROOM];

/* The text is made beside the sentence, since it may quote it. */
int weir_fail(int code, const char *format, ...)
{
    int kept = errno;
    char text[WEIR_ERROR_ROOM];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    memcpy(sentence, text, strlen(text) + 1);
    errno = kept;
    return -code;
}

const char *weir_error_text(void)
{
    return sentence;
}

void weir_error_clear(void)
{
    sentence[0] = '\0';
}
