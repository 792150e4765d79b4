/* base.c - see base.h; weir_store_lmdb(7) has the layout. */
#include "config.h"

#include "base.h"

#include "../common/little.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD                                                             \
    16                        /* octets before a block: first, messages, \
                                 sum */
#define FORMAT "weir-store 1" /* of this layout */
#define RESERVE                                                              \
    UINT64_C(32768)              /* octets kept for letting go when all else \
                                    is used up */
#define MAP_MIN UINT64_C(131072) /* less is no database */
#define MAP_MAX                                                   \
    ((uint64_t)(SIZE_MAX / 4 < (UINT64_C(1) << 43) ? SIZE_MAX / 4 \
                                                   : UINT64_C(1) << 43))
#define PAGE  UINT64_C(4096)
#define TURNS 2 /* transactions until freed pages can be used */

/* Errno values are liblmdb's own as well; the others are below. */
static int code_of(int rc)
{
    if (rc > 0)
        return -rc;
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
        return -ENOSPC;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return -EINVAL;
    default:
        return -EIO;
    }
}

/* Keys have their most significant octet first, so that their order is that
 * of the handles. */
static MDB_val key_of(uint64_t handle, uint8_t octets[8])
{
    for (int i = 8; i-- > 0; handle >>= 8)
        octets[i] = (uint8_t)handle;
    return (MDB_val){8, octets};
}

static uint64_t handle_of(const MDB_val *key)
{
    const uint8_t *octets = key->mv_data;
    uint64_t handle = 0;

    for (size_t i = 0; i < key->mv_size && i < 8; i++)
        handle = handle << 8 | octets[i];
    return handle;
}

/* liblmdb writes to no value that it is given. */
static MDB_val text_of(const char *text)
{
    return (MDB_val){strlen(text), (void *)text};
}

/* Begin a transaction; flags: MDB_RDONLY, or 0. */
static int begin(struct weir_base *base, unsigned flags, MDB_txn **txn)
{
    return base->env ? mdb_txn_begin(base->env, NULL, flags, txn) : EIO;
}

/* ---- opening ---- */

/* Ours, or new.  Another kind of database is left alone. */
static int check_format(struct weir_base *base, MDB_txn *txn)
{
    MDB_val key = text_of("format"), ours = text_of(FORMAT), value;
    int rc = mdb_get(txn, base->about, &key, &value);

    if (rc == MDB_NOTFOUND)
        return mdb_put(txn, base->about, &key, &ours, 0);
    if (rc == 0 && (value.mv_size != ours.mv_size ||
                    memcmp(value.mv_data, FORMAT, ours.mv_size) != 0))
        return MDB_INCOMPATIBLE;
    return rc;
}

static int open_tables(struct weir_base *base)
{
    MDB_txn *txn;
    int rc = begin(base, 0, &txn);

    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, "about", MDB_CREATE, &base->about);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "blocks", MDB_CREATE, &base->blocks);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "consumed", MDB_CREATE, &base->consumed);
    if (rc == 0)
        rc = check_format(base, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* A process that ended while it made the file, before anything was in it. */
static void remove_stump(const struct weir_base *base)
{
    char path[PATH_MAX];
    struct stat state;
    int n = snprintf(path, sizeof path, "%s/" WEIR_BASE_FILE, base->folder);

    if (n > 0 && (size_t)n < sizeof path && stat(path, &state) == 0 &&
        state.st_size < (off_t)(2 * PAGE))
        (void)unlink(path);
}

/* The budget, or what is there already if that is more, and can be mapped. */
static void choose_sizes(struct weir_base *base, uint64_t budget)
{
    char path[PATH_MAX];
    struct stat state = {.st_size = 0};
    int n = snprintf(path, sizeof path, "%s/" WEIR_BASE_FILE, base->folder);
    uint64_t there;

    if (n < 0 || (size_t)n >= sizeof path || stat(path, &state) < 0)
        state.st_size = 0;
    there = (uint64_t)state.st_size + RESERVE;
    base->hard = budget > there ? budget : there;
    if (base->hard > MAP_MAX)
        base->hard = MAP_MAX;
    if (base->hard < MAP_MIN)
        base->hard = MAP_MIN;
    base->hard &= ~(PAGE - 1);
    base->soft = base->hard - RESERVE;
}

/* Without MDB_NOMETASYNC each commit would wait for the disk twice; what it
 * leaves out is done by weir_base_sync().  The database is sound without. */
static int open_env(struct weir_base *base)
{
    int rc = mdb_env_create(&base->env);

    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(base->env, 3);
    if (rc == 0)
        rc = mdb_env_set_mapsize(base->env, (size_t)base->soft);
    if (rc == 0)
        rc = mdb_env_open(base->env, base->folder, MDB_NOMETASYNC | MDB_NOTLS,
                          0600);
    if (rc == 0)
        return 0;
    mdb_env_close(base->env);
    base->env = NULL;
    return rc;
}

int weir_base_open(struct weir_base *base, const char *folder, uint64_t budget)
{
    int rc;

    *base = (struct weir_base){.folder = folder};
    choose_sizes(base, budget);
    rc = open_env(base);
    if (rc == MDB_INVALID) {
        remove_stump(base);
        rc = open_env(base);
    }
    if (rc == 0)
        rc = open_tables(base);
    if (rc)
        weir_base_close(base);
    return code_of(rc);
}

void weir_base_close(struct weir_base *base)
{
    if (base->env)
        mdb_env_close(base->env);
    base->env = NULL;
}

uint64_t weir_base_size(const struct weir_base *base)
{
    MDB_envinfo info;
    MDB_stat stat;

    if (!base->env || mdb_env_info(base->env, &info) != 0 ||
        mdb_env_stat(base->env, &stat) != 0)
        return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* ---- looking ---- */

static void unpack(const MDB_val *key, const MDB_val *value,
                   struct weir_base_head *head)
{
    const uint8_t *octets = value->mv_data;

    head->handle = handle_of(key);
    head->first = weir_common_get(octets, 8);
    head->messages = (uint32_t)weir_common_get(octets + 8, 4);
    head->crc = (uint32_t)weir_common_get(octets + 12, 4);
    head->len = value->mv_size - HEAD;
}

static int get_consumed(struct weir_base *base, MDB_txn *txn, MDB_val *key,
                        uint32_t *consumed)
{
    MDB_val value;
    int rc = mdb_get(txn, base->consumed, key, &value);

    *consumed = 0;
    if (rc == 0 && value.mv_size == 4)
        *consumed = (uint32_t)weir_common_get(value.mv_data, 4);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The block at or behind a key, by `op`; its value lasts as long as txn. */
static int look(struct weir_base *base, MDB_txn *txn, uint64_t handle,
                MDB_cursor_op op, struct weir_base_head *head, MDB_val *value)
{
    uint8_t octets[8];
    MDB_val key = key_of(handle, octets);
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, base->blocks, &cursor);

    if (rc)
        return rc;
    rc = mdb_cursor_get(cursor, &key, value, op);
    mdb_cursor_close(cursor);
    if (rc)
        return rc;
    if (key.mv_size != 8 || value->mv_size < HEAD)
        return MDB_CORRUPTED;
    unpack(&key, value, head);
    return get_consumed(base, txn, &key, &head->consumed);
}

static int look_once(struct weir_base *base, uint64_t handle, MDB_cursor_op op,
                     struct weir_base_head *head)
{
    MDB_txn *txn;
    MDB_val value;
    int rc = begin(base, MDB_RDONLY, &txn);

    if (rc)
        return rc;
    rc = look(base, txn, handle, op, head, &value);
    mdb_txn_abort(txn);
    return rc;
}

int weir_base_next(struct weir_base *base, uint64_t from,
                   struct weir_base_head *head)
{
    int rc = look_once(base, from, MDB_SET_RANGE, head);

    if (rc == MDB_NOTFOUND)
        return 0;
    return rc ? code_of(rc) : 1;
}

int weir_base_find(struct weir_base *base, uint64_t handle,
                   struct weir_base_head *head)
{
    return code_of(look_once(base, handle, MDB_SET_KEY, head));
}

int weir_base_read(struct weir_base *base, uint64_t handle, void *data,
                   size_t room, struct weir_base_head *head)
{
    MDB_txn *txn;
    MDB_val value;
    int rc = begin(base, MDB_RDONLY, &txn);

    if (rc)
        return code_of(rc);
    rc = look(base, txn, handle, MDB_SET_KEY, head, &value);
    if (rc == 0 && head->len > room)
        rc = ERANGE;
    else if (rc == 0 && head->len)
        memcpy(data, (const uint8_t *)value.mv_data + HEAD, (size_t)head->len);
    mdb_txn_abort(txn);
    return code_of(rc);
}

/* ---- changing ---- */

static int apply_mark(struct weir_base *base, MDB_txn *txn,
                      const struct weir_base_mark *mark)
{
    uint8_t octets[8], number[4];
    MDB_val key = key_of(mark->handle, octets), value = {4, number};
    int rc;

    if (mark->consumed != WEIR_BASE_ALL) {
        weir_common_put(number, mark->consumed, 4);
        return mdb_put(txn, base->consumed, &key, &value, 0);
    }
    rc = mdb_del(txn, base->consumed, &key, NULL);
    if (rc == 0 || rc == MDB_NOTFOUND)
        rc = mdb_del(txn, base->blocks, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply_marks(struct weir_base *base, MDB_txn *txn,
                       const struct weir_base_mark *marks, int n)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < n; i++)
        rc = apply_mark(base, txn, &marks[i]);
    return rc;
}

static int put_block(struct weir_base *base, MDB_txn *txn,
                     const struct weir_base_head *head,
                     const struct iovec *parts, int n)
{
    uint8_t octets[8], *at;
    MDB_val key = key_of(head->handle, octets);
    MDB_val value = {(size_t)head->len + HEAD, NULL};
    int rc = mdb_put(txn, base->blocks, &key, &value, MDB_RESERVE);

    if (rc)
        return rc;
    at = value.mv_data;
    weir_common_put(at, head->first, 8);
    weir_common_put(at + 8, head->messages, 4);
    weir_common_put(at + 12, head->crc, 4);
    at += HEAD;
    for (int i = 0; i < n; i++) {
        if (parts[i].iov_len)
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    return 0;
}

/* After a commit that failed liblmdb may want nothing to do with the database
 * any more, not even read it, until it is opened again. */
static void revive(struct weir_base *base)
{
    weir_base_close(base);
    if (open_env(base) == 0 && open_tables(base) != 0)
        weir_base_close(base);
}

/* One transaction: marks, and a block unless head is NULL. */
static int change(struct weir_base *base, const struct weir_base_head *head,
                  const struct iovec *parts, int n,
                  const struct weir_base_mark *marks, int n_marks)
{
    MDB_txn *txn;
    int rc = begin(base, 0, &txn);

    if (rc)
        return rc;
    rc = apply_marks(base, txn, marks, n_marks);
    if (rc == 0 && head)
        rc = put_block(base, txn, head, parts, n);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    base->freed |= rc == 0 && n_marks > 0;
    if (rc && rc != MDB_MAP_FULL)
        revive(base);
    return rc;
}

/* Marks need a few pages before they free any: there is a reserve. */
static int change_marks(struct weir_base *base,
                        const struct weir_base_mark *marks, int n)
{
    int rc = change(base, NULL, NULL, 0, marks, n);

    if (rc != MDB_MAP_FULL)
        return rc;
    rc = mdb_env_set_mapsize(base->env, (size_t)base->hard);
    if (rc == 0)
        rc = change(base, NULL, NULL, 0, marks, n);
    if (base->env)
        (void)mdb_env_set_mapsize(base->env, (size_t)base->soft);
    return rc;
}

/* Pages that a transaction has freed are used by the one after the next: have
 * one go by. */
static int turn(struct weir_base *base)
{
    MDB_val key = text_of("turn"), value = text_of("+");
    MDB_txn *txn;
    int rc = begin(base, 0, &txn);

    if (rc)
        return rc;
    rc = mdb_put(txn, base->about, &key, &value, 0);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc && rc != MDB_MAP_FULL)
        revive(base);
    return rc;
}

int weir_base_mark(struct weir_base *base, const struct weir_base_mark *marks,
                   int n_marks)
{
    return n_marks ? code_of(change_marks(base, marks, n_marks)) : 0;
}

int weir_base_write(struct weir_base *base, const struct weir_base_head *head,
                    const struct iovec *parts, int n,
                    const struct weir_base_mark *marks, int n_marks, bool *full)
{
    int rc = change(base, head, parts, n, marks, n_marks);

    if (rc == MDB_MAP_FULL && n_marks) {
        rc = change_marks(base, marks, n_marks);
        if (rc == 0)
            rc = MDB_MAP_FULL;
    }
    for (int i = 0; rc == MDB_MAP_FULL && base->freed && i < TURNS; i++) {
        rc = turn(base);
        if (rc == 0)
            rc = change(base, head, parts, n, NULL, 0);
    }
    base->freed &= rc != MDB_MAP_FULL;
    *full = rc == MDB_MAP_FULL;
    return code_of(rc);
}

int weir_base_sync(struct weir_base *base)
{
    return base->env ? code_of(mdb_env_sync(base->env, 1)) : -EIO;
}
