#include "config.h"

#include "base/error.h"

#include "weir/weir.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORDS_ROOM 64 /* for the words of one errno value */

static _Thread_local char sentence[WEIR_ERROR_ROOM];
static _Thread_local int sentence_code; /* 0: it was answered with */
static _Thread_local char answer[WEIR_ERROR_ROOM];
static _Thread_local char words[WORDS_ROOM];

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
    sentence_code = code;
    errno = kept;
    return -code;
}

const char *weir_error_text(void)
{
    return sentence;
}

void weir_error_clear(void)
{
    sentence[0] = answer[0] = '\0';
    sentence_code = 0;
}

const char *weir_error_answer(void)
{
    return answer;
}

int weir_error_publish(int code)
{
    if (sentence_code == -code)
        memcpy(answer, sentence, strlen(sentence) + 1);
    else if (code != -EAGAIN)
        snprintf(answer, sizeof answer, "%s", weir_strerror(code));
    sentence_code = 0;
    return code;
}

/* There are two functions of this name: GNU's returns the text, which may or
 * may not be in the buffer, and POSIX's fills the buffer. */
static const char *system_words(int code)
{
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    return strerror_r(code, words, sizeof words);
#else
    if (strerror_r(code, words, sizeof words) != 0)
        snprintf(words, sizeof words, "unknown error %d", code);
    return words;
#endif
}

const char *weir_strerror(int code)
{
    int kept = errno;
    const char *text;

    if (code < 0 && code != INT_MIN)
        code = -code;
    switch (code) {
    case 0:
        return "no error";
    case WEIR_ESTATE:
        return "not this socket's turn";
    case WEIR_EINCOMPATIBLE:
        return "transport or peer does not go with the socket's type";
    case WEIR_ECLOSING:
        return "socket or context is being closed";
    case WEIR_EPLUGIN:
        return "plugin is missing or does not load";
    case WEIR_EFORK:
        return "handle belongs to the parent process";
    }
    text = system_words(code);
    errno = kept;
    return text;
}
