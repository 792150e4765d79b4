/* main.c - the command weir: finds the subcommand and runs it. */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "common.h"

static const struct subcommand {
    const char *name;
    weir_command *run;
    const char *about; /* NULL: for the command's own use */
    bool serves;       /* others may look into it, see forbid_looking() */
} subcommands[] = {
    {"cat", weir_cat_main, "send and receive messages from the shell", true},
    {"device", weir_device_main, "queues, forwarders, streamers as a service",
     true},
    {"top", weir_top_main, "a live view of programs that opted in", false},
    {"monitor", weir_monitor_main, "events of such a program, as they happen",
     false},
    {"stats", weir_stats_main, "counters of such programs, for Prometheus too",
     false},
    {"plugins", weir_plugins_main, "which plugins there are, and where", false},
    {"check", weir_check_main, "does a plugin's file do all it must?", false},
    {"swap", weir_swap_main, "look into durable queues, send or drop them",
     false},
    {"options", weir_options_main, "the options of sockets and plugins", false},
    {"bench", weir_bench_main, "how fast it is, beside other libraries", true},
    {"demo", weir_demo_main, "a tour of all patterns and transports", true},
    {"demo-part", weir_demo_part_main, NULL, true},
    {"bench-side", weir_bench_side_main, NULL, true},
};

static void usage(FILE *file)
{
    fputs("usage: weir COMMAND [argument...]\n\n", file);
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (subcommands[i].about)
            fprintf(file, "  weir %-9s %s\n", subcommands[i].name,
                    subcommands[i].about);
    }
    fputs("\n`weir COMMAND --help` says more; `weir --version` says which "
          "library this is.\n",
          file);
}

/* The commands, as weir_args_list() has options. */
static void list(void)
{
    struct weir_text text = {0};

    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (subcommands[i].about)
            weir_args_list_line(&text, subcommands[i].name, NULL, NULL,
                                subcommands[i].about);
    weir_args_list_line(&text, "--help", NULL, NULL,
                        "which commands there are");
    weir_args_list_line(&text, "--version", NULL, NULL,
                        "which library this is");
    fputs(weir_text_string(&text), stdout);
    weir_text_fini(&text);
}

static const struct subcommand *find(const char *name)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    }
    return NULL;
}

/* What was printed must have arrived, or the exit code lies. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    perror("weir: standard output");
    return code ? code : 1;
}

/* A standard descriptor that is closed would go to whatever is opened next, to
 * a connection say, which would then get what is printed.  One that gives an
 * error takes its place. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
    }
}

/* A command that looks at others, or at files, would otherwise find itself
 * among the programs that can be looked into. */
static void forbid_looking(const struct subcommand *subcommand)
{
    if (!subcommand->serves)
        unsetenv("WEIR_STATS");
}

int main(int argc, char **argv)
{
    const struct subcommand *subcommand;

    hold_standard_descriptors();
    weir_common_set_self(argv[0]);
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return finish(0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("weir %s\n", weir_version());
        return finish(0);
    }
    if (strcmp(argv[1], "--list-options") == 0) {
        list();
        return finish(0);
    }
    subcommand = find(argv[1]);
    if (!subcommand) {
        fprintf(stderr, "weir: %s: no such command\n", argv[1]);
        usage(stderr);
        return 2;
    }
    forbid_looking(subcommand);
    weir_common_begin(subcommand->name);
    return finish(subcommand->run(argc - 2, (const char *const *)(argv + 2)));
}
