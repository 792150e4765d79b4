/*
 * error.h - the sentences that go with errors, for each thread.
 *
 * There are two.  Whoever finds an error writes the one, even if somebody
 * above can do without and no call fails.  A public call that does fail
 * answers by way of weir_answer(), which makes the other of it, and that is
 * the one the application sees: nothing else changes it.
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

/* Forget both of the calling thread's sentences.
 * Thread: any. */
void weir_error_clear(void);

/* The sentence of the thread's last public call that failed, "" if none has;
 * never NULL.  Valid until the next one that fails.
 * Thread: any. */
const char *weir_error_answer(void);

/* A public call ends with `code`, below 0: what was said of that code since
 * the last one that failed becomes the application's sentence.  Where nobody
 * has said anything, it is the words of the code; of -EAGAIN, which is no
 * more than a deadline then, the one from before stays.  Returns `code`.
 * Thread: any. */
int weir_error_publish(int code) __attribute__((cold));

/* What a public call returns. */
static inline int weir_answer(int code)
{
    return code >= 0 ? code : weir_error_publish(code);
}

#endif
