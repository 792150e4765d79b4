/* spool.c - a plain program's messages on their way to a file. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "spool.h"

#define BLOCK ((size_t)64 << 10)
#define HEAD  ((size_t)16) /* before each message: its length */

enum { BLOCKS = 3 };

struct weir_spool {
    pthread_t packer, writer;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    unsigned packed, written; /* blocks */
    bool over;
    int code; /* of a write that failed */
    int fd;
    size_t size, room;
    uint64_t most;
    char *blocks[BLOCKS], *message;
};

/* Wait until fewer, or more, than `blocks` are packed and not yet written.
 * Returns whether to go on. */
static bool await(struct weir_spool *spool, unsigned blocks, bool fewer)
{
    bool over;

    pthread_mutex_lock(&spool->mutex);
    while (!spool->over && (fewer ? spool->packed - spool->written >= blocks
                                  : spool->packed - spool->written <= blocks))
        pthread_cond_wait(&spool->moved, &spool->mutex);
    over = spool->over;
    pthread_mutex_unlock(&spool->mutex);
    return !over;
}

static void move_on(struct weir_spool *spool, unsigned *count)
{
    pthread_mutex_lock(&spool->mutex);
    ++*count;
    pthread_cond_broadcast(&spool->moved);
    pthread_mutex_unlock(&spool->mutex);
}

static void end(struct weir_spool *spool, int code)
{
    pthread_mutex_lock(&spool->mutex);
    spool->over = true;
    spool->code = code ? code : spool->code;
    pthread_cond_broadcast(&spool->moved);
    pthread_mutex_unlock(&spool->mutex);
}

static void *pack(void *arg)
{
    struct weir_spool *spool = arg;
    size_t each = HEAD + spool->size;

    while (await(spool, BLOCKS, true)) {
        char *block = spool->blocks[spool->packed % BLOCKS];

        for (size_t at = 0; at + each <= spool->room; at += each) {
            memcpy(block + at, &spool->size, sizeof spool->size);
            memcpy(block + at + HEAD, spool->message, spool->size);
        }
        move_on(spool, &spool->packed);
    }
    return NULL;
}

static int write_block(const struct weir_spool *spool, const char *block,
                       uint64_t at)
{
    size_t done = 0;

    while (done < spool->room) {
        ssize_t n = pwrite(spool->fd, block + done, spool->room - done,
                           (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

static void *write_blocks(void *arg)
{
    struct weir_spool *spool = arg;
    uint64_t at = 0;

    while (await(spool, 0, false)) {
        int code =
            write_block(spool, spool->blocks[spool->written % BLOCKS], at);

        if (code) {
            end(spool, code);
            break;
        }
        at = at + 2 * spool->room > spool->most ? 0 : at + spool->room;
        move_on(spool, &spool->written);
    }
    return NULL;
}

static void release(struct weir_spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    for (int i = 0; i < BLOCKS; i++)
        free(spool->blocks[i]);
    free(spool->message);
    pthread_cond_destroy(&spool->moved);
    pthread_mutex_destroy(&spool->mutex);
    free(spool);
}

static bool fill(struct weir_spool *spool)
{
    bool good = true;

    spool->message = calloc(1, spool->size);
    for (int i = 0; i < BLOCKS; i++) {
        spool->blocks[i] = calloc(1, spool->room);
        good = good && spool->blocks[i];
    }
    return good && spool->message;
}

static bool run(struct weir_spool *spool)
{
    if (pthread_create(&spool->packer, NULL, pack, spool) != 0)
        return false;
    if (pthread_create(&spool->writer, NULL, write_blocks, spool) == 0)
        return true;
    end(spool, 0);
    pthread_join(spool->packer, NULL);
    return false;
}

struct weir_spool *weir_spool_start(const char *dir, size_t size, uint64_t most)
{
    struct weir_spool *spool = calloc(1, sizeof *spool);

    if (!spool)
        return NULL;
    pthread_mutex_init(&spool->mutex, NULL);
    pthread_cond_init(&spool->moved, NULL);
    spool->size = size ? size : 1;
    spool->room = spool->size + HEAD > BLOCK ? spool->size + HEAD : BLOCK;
    spool->most = most;
    spool->fd = weir_disk_open(dir);
    if (spool->fd >= 0 && fill(spool) && run(spool))
        return spool;
    fprintf(stderr, "%s: plain writes cannot begin\n", dir);
    release(spool);
    return NULL;
}

int weir_spool_stop(struct weir_spool *spool)
{
    int code;

    end(spool, 0);
    pthread_join(spool->packer, NULL);
    pthread_join(spool->writer, NULL);
    code = spool->code;
    release(spool);
    if (code)
        fprintf(stderr, "plain writes: %s\n", strerror(code));
    return code ? -1 : 0;
}
