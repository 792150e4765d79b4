/*
 * fill_queue.c - leave a durable queue behind, as a process would that is
 * killed: fill_queue STORE DIR QUEUE MESSAGES [hold]
 *
 * Message I, from 1 on, is "message I", with a second frame of a NUL if I is a
 * multiple of 3.  Ten are in a block; of the first block, one is consumed.
 * hold: keep the queue open until standard input ends.
 */
#include "config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/store.h>

#define EACH 10 /* messages of a block */

extern const weir_plugin store_file_LTX_weir_plugin_v1;
#ifdef FILL_LMDB
extern const weir_plugin store_lmdb_LTX_weir_plugin_v1;
#endif

static int fail(weir_error *error, int code, const char *format, ...)
{
    va_list list;

    (void)error;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return -code;
}

static const weir_host host = {
    .size = sizeof host, .version = "test", .fail = fail};

static const weir_store_ops *ops_of(const char *store)
{
    const weir_plugin *plugin = &store_file_LTX_weir_plugin_v1;

#ifdef FILL_LMDB
    if (strcmp(store, "lmdb") == 0)
        plugin = &store_lmdb_LTX_weir_plugin_v1;
#endif
    return strcmp(store, plugin->providers[0].id) == 0
               ? plugin->providers[0].ops
               : NULL;
}

/* Append a frame of ZMTP 2.0; a long one where the short form would do is
 * right too. */
static size_t add_frame(unsigned char *at, const char *octets, size_t size,
                        bool more)
{
    bool wide = size % 2;
    size_t head = wide ? 9 : 2;

    memset(at, 0, head);
    at[0] = (unsigned char)(more | (wide ? 2 : 0));
    at[head - 1] = (unsigned char)size;
    memcpy(at + head, octets, size);
    return head + size;
}

static size_t add_message(unsigned char *at, int number)
{
    char text[32];
    int size = snprintf(text, sizeof text, "message %d", number);
    bool two = number % 3 == 0;
    size_t used = add_frame(at, text, (size_t)size, two);

    return two ? used + add_frame(at + used, "", 1, false) : used;
}

static int fill(const weir_store_ops *ops, void *store, int messages)
{
    unsigned char octets[EACH * 64];
    struct iovec part = {octets, 0};
    int64_t handle;

    for (int i = 1; i <= messages; i += EACH) {
        int n = messages - i + 1 < EACH ? messages - i + 1 : EACH;

        part.iov_len = 0;
        for (int k = 0; k < n; k++)
            part.iov_len += add_message(octets + part.iov_len, i + k);
        handle = ops->write(store, &part, 1, (uint32_t)n, (uint64_t)i, NULL);
        if (handle < 0 ||
            (i == 1 && n > 1 && ops->done(store, handle, 1, NULL) < 0))
            return 1;
    }
    return ops->sync(store, NULL) < 0;
}

int main(int argc, char **argv)
{
    weir_store_args args = {
        .size = sizeof args, .mode = WEIR_STORE_DURABLE, .budget = 64 << 20};
    const weir_store_ops *ops = argc < 5 ? NULL : ops_of(argv[1]);
    void *store;

    if (!ops)
        return 2;
    args.dir = argv[2];
    args.queue = argv[3];
    if (ops->open(&host, &args, &store, NULL) < 0 ||
        fill(ops, store, atoi(argv[4])))
        return 1;
    if (argc > 5) {
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF)
            ;
    }
    _exit(0);
}
