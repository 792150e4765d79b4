/*
 * dialog.h - what weir cat says to a person at a terminal, on standard error:
 * what it waits for, a prompt, how far it is.  Nothing of it is said where that
 * is no terminal.
 * Above: cat.c.  Below: the system.
 */
#ifndef WEIR_TOOLS_DIALOG_H
#define WEIR_TOOLS_DIALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_dialog {
    bool heard;    /* there is somebody who reads standard error */
    bool prompts;  /* somebody types */
    bool counts;   /* input comes from elsewhere, and nothing else is shown */
    bool prompted; /* a prompt stands there */
    bool counted;  /* a line with numbers does */
    bool waited;   /* it was said that there is no peer yet */
    uint64_t next; /* when to show numbers again */
    uint64_t octets;
    uint64_t size; /* of the input, if that is a file; else 0 */
};

/* Look at the terminals: `input` if standard input is read, `shows` if messages
 * are shown on standard output. */
void weir_dialog_init(struct weir_dialog *dialog, bool input, bool shows);

/* Say once that there is no peer to send to yet. */
void weir_dialog_wait(struct weir_dialog *dialog, const char *type);

/* Say that messages are waited for, and what ends that. */
void weir_dialog_listen(const struct weir_dialog *dialog);

/* Say what to type, and that it is time to: once for each line. */
void weir_dialog_prompt(struct weir_dialog *dialog);

/* A line was read, or the end: the prompt has been answered.  Behind an end
 * that was typed what comes next begins a line. */
void weir_dialog_answered(struct weir_dialog *dialog, bool end);

/* Make room for a message that is shown; a prompt comes again behind it. */
void weir_dialog_clear(struct weir_dialog *dialog);

/* `octets` of a message were read that is not whole yet: shown now and then. */
void weir_dialog_read(struct weir_dialog *dialog, uint64_t octets);

/* `sent` messages were sent, the last one of `octets`: shown now and then. */
void weir_dialog_count(struct weir_dialog *dialog, uint64_t sent,
                       uint64_t octets);

#endif
