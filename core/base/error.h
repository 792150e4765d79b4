/*
 * error.h - the sentence that goes with an error, one per thread.
 * Above: everything in core; api.c shows it as weir_last_error().
 * Below: nothing.
 */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include <weir/weir.h> /* weir_strerror() */

/* Octets of the longest sentence, with its final NUL; longer ones are cut. */
#define WEIR_ERROR_ROOM 512

/* Make the printf-like text the calling thread's sentence and return -code, so
 * that a function can end with `return weir_fail(EINVAL, ...)`.
 * `code` is positive.  The arguments may contain weir_error_text(), to put
 * more words around a sentence from below.  Changes no errno, allocates
 * nothing.
 * Thread: any. */
int weir_fail(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* The calling thread's sentence, "" if there is none; never NULL.
 * Valid until the thread's next weir_fail() or weir_error_clear().
 * Thread: any. */
const char *weir_error_text(void);

/* Forget the calling thread's sentence.
 * Thread: any. */
void weir_error_clear(void);

#endif
