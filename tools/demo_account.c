/* demo_account.c - what became of every message of `weir demo`. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "common.h"
#include "demo_account.h"
#include "figures.h"
#include "json.h"
#include "text.h"

/* ---- counting ---- */

struct weir_demo_row *weir_demo_row(struct weir_demo_account *account,
                                    const char *transport, const char *pattern)
{
    struct weir_demo_row *row = &account->rows[account->n_rows];

    if (account->n_rows + 1 < WEIR_DEMO_ROWS)
        account->n_rows++;
    memset(row, 0, sizeof *row);
    row->transport = transport;
    row->pattern = pattern;
    return row;
}

void weir_demo_count(struct weir_demo_row *row,
                     const struct weir_demo_report *report)
{
    const weir_stats *stats = &report->stats;

    row->sent += stats->accepted;
    row->received += stats->delivered;
    row->dropped += weir_common_drops(stats->send_dropped) +
                    weir_common_drops(stats->recv_dropped);
    row->queued += stats->send_queued + stats->recv_queued;
}

/* Negative: there are more than were sent. */
static int64_t missing(const struct weir_demo_row *row)
{
    return (int64_t)(row->sent - row->received - row->dropped - row->queued -
                     row->lost);
}

struct sum {
    uint64_t messages;
    bool accounted;
};

static struct sum sum_up(const struct weir_demo_account *account)
{
    struct sum sum = {0, true};

    for (size_t i = 0; i < account->n_rows; i++) {
        sum.messages += account->rows[i].sent;
        sum.accounted = sum.accounted && missing(&account->rows[i]) == 0;
    }
    return sum;
}

/* ---- for people ---- */

static void add_row(struct weir_table *table, const struct weir_demo_row *row)
{
    const uint64_t numbers[] = {row->sent, row->received, row->dropped,
                                row->queued, row->lost};
    struct weir_text rate = {0};

    weir_table_add(table, "%s", row->transport);
    weir_table_add(table, "%s", row->pattern);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        weir_table_add(table, "%" PRIu64, numbers[i]);
    weir_table_add(table, "%" PRId64, missing(row));
    if (row->rate > 0)
        weir_figures_add(&rate, row->rate);
    weir_table_add(table, "%s", weir_text_string(&rate));
    weir_text_fini(&rate);
}

bool weir_demo_print(const struct weir_demo_account *account, double seconds,
                     FILE *file)
{
    static const char *const heads[] = {"over",   "pattern",  ">sent",
                                        ">heard", ">drops",   ">queued",
                                        ">lost",  ">missing", ">per s",
                                        NULL};
    struct sum sum = sum_up(account);
    struct weir_table table;

    weir_table_init(&table, heads);
    for (size_t i = 0; i < account->n_rows; i++)
        add_row(&table, &account->rows[i]);
    weir_table_print(&table, 0, file);
    weir_table_fini(&table);
    fprintf(file, "\n%" PRIu64 " messages in %.1f s, %s%s\n", sum.messages,
            seconds,
            sum.accounted ? "every one of them accounted for"
                          : "NOT all of them accounted for",
            account->failed ? "; but something FAILED, see above" : "");
    return sum.accounted && !account->failed;
}

/* ---- JSON ---- */

static void print_row(const struct weir_demo_row *row, FILE *file)
{
    struct weir_text text = {0};

    weir_text_format(&text, "{\"transport\": ");
    weir_json_string(&text, row->transport, strlen(row->transport));
    weir_text_format(&text, ", \"pattern\": ");
    weir_json_string(&text, row->pattern, strlen(row->pattern));
    weir_text_format(&text,
                     ", \"sent\": %" PRIu64 ", \"received\": %" PRIu64
                     ", \"dropped\": %" PRIu64 ", \"queued\": %" PRIu64
                     ", \"lost\": %" PRIu64 ", \"missing\": %" PRId64,
                     row->sent, row->received, row->dropped, row->queued,
                     row->lost, missing(row));
    if (row->rate > 0)
        weir_text_format(&text, ", \"%s\": %.0f",
                         row->asks ? "requests/s" : "messages/s", row->rate);
    fprintf(file, "%s}\n", weir_text_string(&text));
    weir_text_fini(&text);
}

bool weir_demo_print_json(const struct weir_demo_account *account,
                          double seconds, FILE *file)
{
    struct sum sum = sum_up(account);

    for (size_t i = 0; i < account->n_rows; i++)
        print_row(&account->rows[i], file);
    fprintf(file,
            "{\"account\": true, \"messages\": %" PRIu64
            ", \"seconds\": %.3f, \"accounted\": %s, \"failed\": %s}\n",
            sum.messages, seconds, sum.accounted ? "true" : "false",
            account->failed ? "true" : "false");
    return sum.accounted && !account->failed;
}
