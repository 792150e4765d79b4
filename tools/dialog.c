/* dialog.c - what weir cat says to a person at a terminal. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common.h"
#include "dialog.h"

#define AGAIN_NS UINT64_C(100000000)

void weir_dialog_init(struct weir_dialog *dialog, bool input, bool shows)
{
    dialog->heard = isatty(STDERR_FILENO);
    dialog->prompts = input && dialog->heard && isatty(STDIN_FILENO);
    dialog->counts = input && dialog->heard && !isatty(STDIN_FILENO) &&
                     (!shows || !isatty(STDOUT_FILENO));
    dialog->next = weir_common_now() + AGAIN_NS;
}

void weir_dialog_wait(struct weir_dialog *dialog, const char *type)
{
    if (dialog->waited || !dialog->heard)
        return;
    dialog->waited = true;
    fprintf(stderr, "waiting for a peer to connect to this %s\n", type);
}

void weir_dialog_listen(const struct weir_dialog *dialog)
{
    if (dialog->heard)
        fputs("waiting for messages (Ctrl-C ends it)\n", stderr);
}

void weir_dialog_prompt(struct weir_dialog *dialog)
{
    if (!dialog->prompts || dialog->prompted)
        return;
    dialog->prompted = true;
    fputs("> ", stderr);
}

void weir_dialog_answered(struct weir_dialog *dialog, bool end)
{
    if (dialog->prompted && end)
        fputc('\n', stderr);
    dialog->prompted = false;
}

void weir_dialog_clear(struct weir_dialog *dialog)
{
    if (dialog->prompted)
        fputs("\r  \r", stderr);
    if (dialog->counted)
        fprintf(stderr, "\r%60s\r", "");
    dialog->prompted = dialog->counted = false;
}

static void show_count(struct weir_dialog *dialog, uint64_t sent)
{
    static const char units[] = "kMGTPE";
    double octets = (double)dialog->octets / 1000;
    size_t unit = 0;

    while (octets >= 1000 && units[unit + 1]) {
        octets /= 1000;
        unit++;
    }
    fprintf(stderr, "\rsent %" PRIu64 " messages, %.1f %cB  ", sent, octets,
            units[unit]);
    dialog->counted = true;
}

void weir_dialog_count(struct weir_dialog *dialog, uint64_t sent,
                       uint64_t octets)
{
    uint64_t now;

    dialog->octets += octets;
    if (!dialog->counts || (sent & 15) != 0)
        return;
    now = weir_common_now();
    if (now < dialog->next)
        return;
    dialog->next = now + AGAIN_NS;
    show_count(dialog, sent);
}
