/*
 * spill_report.c - what a spill has to tell: news for its producer, and
 * reports of a store that fails or works again; see spill.h.
 */
#include "config.h"

#include "spill_private.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

void weir_spill_tell(struct weir_spill *spill)
{
    if (spill->tell)
        spill->tell(spill->arg);
}

void weir_spill_nudge(struct weir_spill *spill)
{
    if (spill->nudge)
        spill->nudge(spill->other);
}

/* The sentence of the store without the folder, which comes first. */
static const char *without_folder(const char *text, const char *dir)
{
    size_t size = strlen(dir);

    if (strncmp(text, dir, size) == 0 && strncmp(text + size, ": ", 2) == 0)
        return text + size + 2;
    return text;
}

/* The cause is what must not be cut off: of a long folder the end is named. */
static void explain(char *reason, size_t room, const char *dir,
                    const char *cause)
{
    size_t fixed = strlen("swap in ...: ") + 1;
    size_t size = strlen(dir), left = strlen(cause) + fixed;

    left = left < room ? room - left : 0;
    if (left < 32)
        left = 32;
    snprintf(reason, room, "swap in %s%s: %s", size > left ? "..." : "",
             size > left ? dir + (size - left) : dir, cause);
}

/* Lock held. */
static struct weir_spill_report *new_report(struct weir_spill *spill)
{
    if (spill->n_reports == WEIR_SPILL_REPORTS)
        memmove(spill->reports, spill->reports + 1,
                sizeof(spill->reports[0]) * --spill->n_reports);
    return &spill->reports[spill->n_reports++];
}

void weir_spill_complain(struct weir_spill *spill, int *told, int code,
                         const char *text)
{
    struct weir_spill_report *report;

    if (*told == code)
        return;
    *told = code;
    report = new_report(spill);
    report->kind = WEIR_SPILL_FAILED;
    report->code = code;
    report->value = load(&spill->in_memory);
    explain(report->reason, sizeof(report->reason), spill->dir,
            text[0] ? without_folder(text, spill->dir) : weir_strerror(code));
    weir_spill_tell(spill);
}

void weir_spill_reassure(struct weir_spill *spill, int *told, const char *what)
{
    struct weir_spill_report *report;

    if (!*told)
        return;
    report = new_report(spill);
    report->kind = WEIR_SPILL_RESUMED;
    report->code = *told;
    report->value = load(&spill->in_memory);
    explain(report->reason, sizeof(report->reason), spill->dir, what);
    *told = 0;
    weir_spill_tell(spill);
}

void weir_spill_tell_found(struct weir_spill *spill, uint64_t messages,
                           uint64_t torn)
{
    struct weir_spill_report *report = new_report(spill);
    char cause[128];

    snprintf(cause, sizeof(cause),
             "%llu messages of an earlier run, and %llu octets of none",
             (unsigned long long)messages, (unsigned long long)torn);
    report->kind = WEIR_SPILL_FOUND;
    report->code = 0;
    report->value = messages;
    explain(report->reason, sizeof(report->reason), spill->dir, cause);
    weir_spill_tell(spill);
}

bool weir_spill_report(struct weir_spill *spill,
                       struct weir_spill_report *report)
{
    bool any;

    weir_lock_take(&spill->lock);
    any = spill->n_reports > 0;
    if (any) {
        *report = spill->reports[0];
        memmove(spill->reports, spill->reports + 1,
                sizeof(spill->reports[0]) * --spill->n_reports);
    }
    weir_spill_unlock(spill);
    return any;
}
