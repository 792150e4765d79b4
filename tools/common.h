/*
 * common.h - what several subcommands need: complaints, time, socket types,
 * signals, the command's own file.
 * Above: every subcommand.  Below: weir.h, text.h.
 */
#ifndef WEIR_TOOLS_COMMON_H
#define WEIR_TOOLS_COMMON_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>
#include <weir/weir.h>

/* A subcommand: arguments without its own name; returns the exit code. */
typedef int weir_command(int argc, const char *const *argv);

weir_command weir_cat_main, weir_plugins_main, weir_check_main,
    weir_options_main, weir_demo_main, weir_demo_part_main, weir_bench_main,
    weir_bench_side_main, weir_device_main, weir_monitor_main, weir_stats_main,
    weir_swap_main, weir_top_main;

/* ---- complaints: "weir cat: ..." on stderr ---- */

/* Which subcommand complains from now on; `name` is constant. */
void weir_common_begin(const char *name);

/* Print a sentence.  Returns 1, an exit code. */
int weir_common_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Print the words, a colon and weir_last_error(), or what the code means if
 * there is no sentence.  Returns 1, an exit code. */
int weir_common_fail_code(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Split "name=value": the name is copied, the value is where it was.  False: it
 * is no such thing. */
enum { WEIR_COMMON_NAME = 64 };
bool weir_common_split(const char *word, char name[WEIR_COMMON_NAME],
                       const char **value);

/* Set a socket's option to what "name=value" says, which came as `option`, such
 * as "--option".  Returns 0, or an exit code with the complaint printed. */
int weir_common_set(weir_socket socket, const char *option, const char *word);

/* The sentence of the last failed call, or what `code` means. */
const char *weir_common_reason(int code);

/* ---- time ---- */

/* Nanoseconds of the monotonic clock. */
uint64_t weir_common_now(void);

/* When `seconds` from now have passed; UINT64_MAX if they are negative. */
uint64_t weir_common_until(double seconds);

/* What is left until then as a deadline for weir.h, at most `most`
 * milliseconds (negative: no limit); rounded up, so it is 0 at the end only. */
int weir_common_left(uint64_t until, int most);

/* ---- signals ---- */

/* From now on SIGINT and SIGTERM are remembered, and the descriptor that this
 * returns is readable after the first; a second one of the same kind ends the
 * process, stuck as it may be in writing what nobody reads.  The first
 * interrupts no output.
 * Returns -errno if that cannot be. */
int weir_common_catch_signals(void);

/* Another signal that is to do the same; not one that is ignored, as by
 * nohup(1).  After the above. */
void weir_common_catch(int signal_number);

/* Has there been one? */
bool weir_common_stopped(void);

/* From now on it is as if there had been: a key says so. */
void weir_common_stop(void);

/* ---- socket types ---- */

enum weir_turns {
    WEIR_TURNS_FREE, /* sends and receives as it likes */
    WEIR_TURNS_ASK,  /* sends, then receives */
    WEIR_TURNS_ANSWER
};

struct weir_socket_kind {
    const char *name; /* upper case */
    bool sends, receives;
    enum weir_turns turns;
};

/* The kind of a name, in any case; NULL when there is none. */
const struct weir_socket_kind *weir_common_kind(const char *name);

/* "PUSH PULL ..." of all kinds. */
extern const char weir_common_kinds[];

/* ---- statistics ---- */

/* The sum of the reasons of one direction. */
uint64_t weir_common_drops(const uint64_t dropped[WEIR_DROPS]);

/* ---- plugins ---- */

/* All plugins that are found, loaded to learn all about them.  The caller
 * frees *found.  Returns how many, or -errno. */
int weir_common_plugins(weir_plugin_info **found);

/* The table of a plugin that is loaded and was found sound; NULL: it cannot be
 * had, since the plugin is no file of its own.  It stays, like all plugins. */
const weir_plugin *weir_common_table(const weir_plugin_info *info);

/* Is there any transport?  Says why not, and what to do: a command that needs
 * many would say it of each. */
bool weir_common_has_transports(void);

/* Is it the plugin of that name: "transport_tcp", or "tcp" for short? */
bool weir_common_is_plugin(const weir_plugin_info *info, const char *name);

/* ---- files ---- */

/* The file of this program, for running it again.  Constant, never NULL. */
const char *weir_common_self(void);

/* What argv[0] of main() was; for weir_common_self(). */
void weir_common_set_self(const char *argv0);

#endif
