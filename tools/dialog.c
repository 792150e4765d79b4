/* dialog.c - what weir cat says to a person at a terminal. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "dialog.h"

#define AGAIN_NS UINT64_C(100000000)

void weir_dialog_init(struct weir_dialog *dialog, bool input, bool shows)
{
    struct stat input_file;

    dialog->heard = isatty(STDERR_FILENO);
    dialog->prompts = input && dialog->heard && isatty(STDIN_FILENO);
    dialog->counts = input && dialog->heard && !isatty(STDIN_FILENO) &&
                     (!shows || !isatty(STDOUT_FILENO));
    dialog->next = weir_common_now() + AGAIN_NS;
    if (dialog->counts && fstat(STDIN_FILENO, &input_file) == 0 &&
        S_ISREG(input_file.st_mode))
        dialog->size = (uint64_t)input_file.st_size;
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

/* Is it time to show numbers again? */
static bool is_time(struct weir_dialog *dialog)
{
    uint64_t now = weir_common_now();

    if (!dialog->counts || now < dialog->next)
        return false;
    dialog->next = now + AGAIN_NS;
    return true;
}

/* "1.5 MB", and how much of the input that is, if it has a size. */
static void show_octets(const struct weir_dialog *dialog, uint64_t number)
{
    static const char units[] = "kMGTPE";
    double octets = (double)number / 1000;
    off_t at = dialog->size ? lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
    size_t unit = 0;

    while (octets >= 1000 && units[unit + 1]) {
        octets /= 1000;
        unit++;
    }
    fprintf(stderr, "%.1f %cB", octets, units[unit]);
    if (at >= 0)
        fprintf(stderr, " (%.0f %%)", (double)at * 100 / (double)dialog->size);
    fputs("  ", stderr);
}

void weir_dialog_read(struct weir_dialog *dialog, uint64_t octets)
{
    if (!is_time(dialog))
        return;
    fputs("\rread ", stderr);
    show_octets(dialog, octets);
    dialog->counted = true;
}

void weir_dialog_count(struct weir_dialog *dialog, uint64_t sent,
                       uint64_t octets)
{
    dialog->octets += octets;
    if ((sent & 15) != 0 || !is_time(dialog))
        return;
    fprintf(stderr, "\rsent %" PRIu64 " messages, ", sent);
    show_octets(dialog, dialog->octets);
    dialog->counted = true;
}
