/* look.c - looking into programs that have a stats endpoint. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"
#include "look.h"

enum { FOLDERS = 2, PATH_ROOM = 1024 };

/* ---- where they are ---- */

static char *copy(const char *text)
{
    char *made = strdup(text);

    if (!made) {
        fputs("weir: out of memory\n", stderr);
        exit(1);
    }
    return made;
}

/* It is for showing, and whoever made a file chose its name. */
static char *copy_plain(const char *text)
{
    struct weir_text plain = {0};
    char *made;

    weir_text_add_plain(&plain, text, strlen(text));
    made = copy(weir_text_string(&plain));
    weir_text_fini(&plain);
    return made;
}

static int add(struct weir_looks *looks, const char *target, const char *url)
{
    struct weir_look *look = &looks->items[looks->count];

    for (size_t i = 0; i < looks->count; i++) {
        if (strcmp(looks->items[i].url, url) == 0)
            return 0;
    }
    if (looks->count == WEIR_LOOK_MOST)
        return weir_common_fail("more than %d endpoints", WEIR_LOOK_MOST);
    memset(look, 0, sizeof *look);
    look->target = copy_plain(target);
    look->url = copy(url);
    looks->count++;
    return 0;
}

/* Does somebody listen there? */
static bool is_alive(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool alive;
    int fd;

    if (strlen(path) >= sizeof address.sun_path)
        return false;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return fd < 0 || close(fd) == 0; /* who knows */
    alive =
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
        errno == EACCES;
    close(fd);
    return alive;
}

/* A symbolic link leads out of the folder, to what is not ours to touch. */
static int add_path(struct weir_looks *looks, const char *folder,
                    const char *name, const char *below)
{
    char path[PATH_ROOM], url[PATH_ROOM + 8];
    struct stat is;

    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, below) >=
        (int)sizeof path)
        return 0;
    if (lstat(path, &is) < 0 || !S_ISSOCK(is.st_mode) || !is_alive(path))
        return 0;
    snprintf(url, sizeof url, "ipc://%s", path);
    return add(looks, name, url);
}

/* "jobs" is jobs and jobs.1234.0; NULL is everybody. */
static bool is_called(const char *file, const char *name)
{
    size_t size = name ? strlen(name) : 0;

    if (!name)
        return file[0] != '.';
    return strncmp(file, name, size) == 0 &&
           (file[size] == '\0' || file[size] == '.');
}

static int search(struct weir_looks *looks, const char *folder,
                  const char *name)
{
    DIR *all = opendir(folder);
    struct dirent *entry;
    int code = 0;

    if (!all)
        return 0;
    while (!code && (entry = readdir(all))) {
        if (!is_called(entry->d_name, name))
            continue;
        code = add_path(looks, folder, entry->d_name, "");
        if (!code)
            code = add_path(looks, folder, entry->d_name, "/stats");
    }
    closedir(all);
    return code;
}

static int search_all(struct weir_looks *looks, const char *name)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char folder[PATH_ROOM];
    int code = 0;

    if (runtime && runtime[0] == '/' &&
        snprintf(folder, sizeof folder, "%s/weir", runtime) <
            (int)sizeof folder)
        code = search(looks, folder, name);
    return code ? code : search(looks, "/run/weir", name);
}

static int find(struct weir_looks *looks, const char *word)
{
    size_t before = looks->count;
    int code;

    if (strstr(word, "://"))
        return add(looks, word, word);
    code = search_all(looks, word);
    if (!code && looks->count == before)
        code = weir_common_fail("%s: no program of that name can be looked "
                                "into (see weir_stats_endpoint(7))",
                                word);
    return code;
}

int weir_look_find(struct weir_looks *looks, const struct weir_args_list *words)
{
    int code = 0;

    for (size_t i = 0; i < words->count && !code; i++)
        code = find(looks, words->items[i]);
    if (words->count || code)
        return code;
    code = search_all(looks, NULL);
    if (!code && !looks->count)
        code = weir_common_fail("no program can be looked into; start one "
                                "with WEIR_STATS=NAME (see "
                                "weir_stats_endpoint(7))");
    return code;
}

int weir_look_find_one(struct weir_looks *looks, const char *word)
{
    int code = find(looks, word);

    if (!code && looks->count > 1) {
        code = weir_common_fail("%s: there are several:", word);
        for (size_t i = 0; i < looks->count; i++)
            fprintf(stderr, "    %s\n", looks->items[i].target);
    }
    return code;
}

/* ---- asking ---- */

/* The reason may have come from the other side: it is made plain. */
static int fail(struct weir_look *look, int code, const char *reason)
{
    struct weir_text plain = {0};

    weir_text_add_plain(&plain, reason, strlen(reason));
    snprintf(look->reason, sizeof look->reason, "%s", weir_text_string(&plain));
    weir_text_fini(&plain);
    weir_look_close(look);
    return code;
}

/* Answers are of any size: it is the user who wants them. */
static int open_look(struct weir_look *look, weir_context context)
{
    int code;

    if (look->socket.generation)
        return 0;
    code = weir_open(&look->socket, context, WEIR_DEALER);
    if (code >= 0)
        code = weir_set(look->socket, "linger", "0");
    if (code >= 0)
        code = weir_connect(look->socket, look->url, NULL);
    return code;
}

int weir_look_send(struct weir_look *look, weir_context context,
                   const char *question)
{
    int code = open_look(look, context);

    if (code >= 0)
        code = weir_send(look->socket, question, strlen(question), WEIR_NOWAIT);
    return code < 0 ? fail(look, code, weir_common_reason(code)) : 0;
}

/* Blanks that are no spaces can only be between the words of JSON that was
 * read, and other control characters only in its strings. */
static void keep_plain(struct weir_text *answer, const char *data, size_t size)
{
    uint32_t character;
    size_t length;

    weir_text_clear(answer);
    for (size_t i = 0; i < size; i += length) {
        length = weir_text_decode(data + i, size - i, &character);
        if (character < 0x20)
            weir_text_add_char(answer, ' ');
        else if (weir_text_is_control(character))
            weir_text_format(answer, "\\u%04x", (unsigned)character);
        else
            weir_text_add(answer, data + i, length);
    }
}

/* An answer that is none leaves no tree. */
static int refuse(struct weir_look *look, struct weir_tree *tree,
                  const char *reason)
{
    char words[200];

    snprintf(words, sizeof words, "what answers is no stats endpoint: %s",
             reason);
    weir_tree_fini(tree);
    return fail(look, -EPROTO, words);
}

static int read_answer(struct weir_look *look, weir_message *message,
                       struct weir_tree *tree)
{
    weir_frame *frame = weir_message_frame(message, 0);
    const char *data = weir_frame_data(frame);
    const struct weir_tree_node *root;
    struct weir_json_error error = {0};
    int code = 0;

    if (weir_tree_read(tree, data, weir_frame_size(frame), &error) < 0)
        return refuse(look, tree, error.rule);
    root = weir_tree_root(tree);
    if (root->kind != WEIR_TREE_OBJECT)
        return refuse(look, tree, "its answer is no object");
    keep_plain(&look->answer, data, weir_frame_size(frame));
    if (weir_tree_member(tree, root, "error")) {
        code = fail(look, -EPROTO, weir_tree_text(tree, root, "error"));
        weir_tree_fini(tree);
    }
    return code;
}

static int receive(struct weir_look *look, int deadline, struct weir_tree *tree)
{
    weir_message message;
    int code;

    weir_message_init(&message);
    code = weir_recv_message(look->socket, &message, deadline);
    if (code >= 0)
        code = read_answer(look, &message, tree);
    else if (code != -EAGAIN)
        code = fail(look, code, weir_common_reason(code));
    weir_message_fini(&message);
    return code;
}

/* Why there is nobody, if that is known. */
static int fail_in_vain(struct weir_look *look)
{
    weir_stats stats = {.size = sizeof stats};

    if (weir_socket_stats(look->socket, &stats) < 0 || stats.peers ||
        !stats.last_reason[0])
        return fail(look, -EAGAIN, "no answer");
    return fail(look, -EAGAIN, stats.last_reason);
}

int weir_look_answer(struct weir_look *look, uint64_t until,
                     struct weir_tree *tree)
{
    int code = -ENOTCONN;

    if (look->socket.generation)
        code = receive(look, weir_common_left(until, -1), tree);
    return code == -EAGAIN ? fail_in_vain(look) : code;
}

int weir_look_hear(struct weir_look *look, struct weir_tree *tree)
{
    return receive(look, WEIR_NOWAIT, tree);
}

/* ---- the end ---- */

void weir_look_close(struct weir_look *look)
{
    if (look->socket.generation)
        (void)weir_close(look->socket, 0, NULL);
    look->socket = (weir_socket){0, 0};
}

void weir_look_fini(struct weir_looks *looks)
{
    for (size_t i = 0; i < looks->count; i++) {
        weir_look_close(&looks->items[i]);
        weir_text_fini(&looks->items[i].answer);
        free(looks->items[i].target);
        free(looks->items[i].url);
    }
    looks->count = 0;
}
