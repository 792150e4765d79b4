/* base.c - see base.h; weir_store_lmdb(7) has the layout. */
#include "config.h"

#include "base.h"

#include "../common/little.h"
#include "../common/system.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HEAD                                                                \
    20                           /* octets before a block: first, messages, \
                                    sum, length */
#define FORMAT    "weir-store 2" /* of this layout */
#define PAGE_HEAD 16             /* liblmdb's own, on each page */
#define MAP_MIN   (32 * page_size()) /* less is no database */
#define MAP_MAX                                                   \
    ((uint64_t)(SIZE_MAX / 4 < (UINT64_C(1) << 43) ? SIZE_MAX / 4 \
                                                   : UINT64_C(1) << 43))
/* What is kept for letting go when all else is used up: enough for the marks
 * of a transaction that lie far apart, each of which changes a page on every
 * level; of a small budget less, where they go in several.  And for the records
 * of free pages, whose numbers have 8 octets each. */
#define RESERVE_MIN (8 * page_size())
#define RESERVE_MAX ((DEPTH + 2) * 64 * page_size())
#define RECORDS     256  /* of so many octets, one */
#define DEPTH       4    /* levels of a tree of 32 GB */
#define SLACK       8    /* pages that a block takes beside its own */
#define PART        64   /* of a block's octets are those of pages and keys */
#define LOOKED_AT   4096 /* records of free pages, of which there may be many */
#define KEPT        (UINT64_C(4) << 20) /* octets of single pages in the heap */
#define TURNS       2  /* transactions until freed pages can be used */
#define SEEN        64 /* descriptors of one database, in a process */
#define FREE_PAGES \
    0 /* liblmdb's own table of them, as its mdb_stat(1) has it */

/* liblmdb's pages are the system's, of up to 32 KB. */
static uint64_t page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);

    return size < 4096 ? 4096 : size > 32768 ? 32768 : (uint64_t)size;
}

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

/* Of a block's piece: the first one has the handle alone, and each other its
 * number behind that. */
static MDB_val piece_key(uint64_t handle, uint32_t number, uint8_t octets[12])
{
    MDB_val key = key_of(handle, octets);

    if (number == 0)
        return key;
    key.mv_size = 12;
    for (int i = 12; i-- > 8; number >>= 8)
        octets[i] = (uint8_t)number;
    return key;
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

static int revive(struct weir_base *base);

/* A database that could not be opened again, for want of descriptors perhaps,
 * is tried once more. */
static int ensure_open(struct weir_base *base)
{
    return base->env ? 0 : revive(base);
}

/* Begin a transaction; flags: MDB_RDONLY, or 0. */
static int begin(struct weir_base *base, unsigned flags, MDB_txn **txn)
{
    int rc = ensure_open(base);

    return rc ? rc : mdb_txn_begin(base->env, NULL, flags, txn);
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

/* ---- its memory ---- */

#if defined(MADV_DONTFORK)

/* The range of memory that an address is in, as the system lists it. */
static bool find_range(const void *at, uintptr_t *begin, uintptr_t *end)
{
    FILE *ranges = fopen("/proc/self/maps", "re");
    uintptr_t where = (uintptr_t)at;
    bool found = false;

    while (ranges && !found &&
           fscanf(ranges, "%" SCNxPTR "-%" SCNxPTR "%*[^\n]", begin, end) == 2)
        found = *begin <= where && where < *end;
    if (ranges)
        (void)fclose(ranges);
    return found;
}

/* A forked child has no use for the database, and would keep the space of its
 * file: it does not get liblmdb's map.  Where that is, a value in it tells. */
static void hide_from_children(struct weir_base *base)
{
    MDB_val key = text_of("format"), value;
    uintptr_t begin, end;
    MDB_txn *txn;

    if (mdb_txn_begin(base->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (mdb_get(txn, base->about, &key, &value) == 0 &&
        find_range(value.mv_data, &begin, &end))
        (void)madvise((void *)begin, end - begin, MADV_DONTFORK);
    mdb_txn_abort(txn);
}

#else

static void hide_from_children(struct weir_base *base)
{
    (void)base;
}

#endif

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
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        hide_from_children(base);
    return rc;
}

/* A process that ended while it made the file, before anything was in it. */
static void remove_stump(const struct weir_base *base)
{
    char path[PATH_MAX];
    struct stat state;
    int n = snprintf(path, sizeof path, "%s/" WEIR_BASE_FILE, base->folder);

    if (n > 0 && (size_t)n < sizeof path && stat(path, &state) == 0 &&
        state.st_size < (off_t)(2 * page_size()))
        (void)unlink(path);
}

static uint64_t between(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The file may grow to the budget, less a reserve that blocks may not use.  One
 * that is larger already has its reserve on top. */
static void choose_sizes(struct weir_base *base, uint64_t budget)
{
    char path[PATH_MAX];
    struct stat state = {.st_size = 0};
    int n = snprintf(path, sizeof path, "%s/" WEIR_BASE_FILE, base->folder);

    if (n < 0 || (size_t)n >= sizeof path || stat(path, &state) < 0)
        state.st_size = 0;
    budget = between(budget, MAP_MIN, MAP_MAX) & ~(page_size() - 1);
    base->reserve =
        between(budget / 16, RESERVE_MIN, RESERVE_MAX + budget / RECORDS);
    base->soft = budget - base->reserve;
    base->hard = budget;
    if ((uint64_t)state.st_size > budget)
        base->hard =
            between((uint64_t)state.st_size + base->reserve, 0, MAP_MAX) &
            ~(page_size() - 1);
}

/* ---- its descriptors ---- */

/* Is that descriptor one of the database's own files? */
static bool is_ours(int fd, const struct stat files[2])
{
    struct stat state;

    if (fstat(fd, &state) < 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (state.st_dev == files[i].st_dev && state.st_ino == files[i].st_ino)
            return true;
    }
    return false;
}

static bool look_at_file(const struct weir_base *base, const char *name,
                         struct stat *state)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", base->folder, name);

    return n > 0 && (size_t)n < sizeof path && stat(path, state) == 0;
}

/* The descriptors that this process has of the database, where the system lists
 * what is open; returns how many. */
static int find_open(const struct weir_base *base, int fds[SEEN])
{
    struct stat files[2];
    struct dirent *entry;
    DIR *open;
    int n = 0;

    if (!look_at_file(base, WEIR_BASE_FILE, &files[0]) ||
        !look_at_file(base, WEIR_BASE_LOCK, &files[1]))
        return 0;
    open = opendir("/dev/fd");
    while (open && n < SEEN && (entry = readdir(open)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd != dirfd(open) && is_ours(fd, files))
            fds[n++] = fd;
    }
    if (open)
        closedir(open);
    return n;
}

static bool is_among(int fd, const int fds[], int n)
{
    while (n > 0 && fds[n - 1] != fd)
        n--;
    return n > 0;
}

/* liblmdb names one of its three descriptors; the others are found by what they
 * are of.  What was open before is the program's. */
static void own_new(struct weir_base *base, const int before[], int n_before)
{
    int now[SEEN], n = find_open(base, now);

    base->n_fds = 0;
    for (int i = 0; i < n && base->n_fds < WEIR_BASE_FDS; i++) {
        if (is_among(now[i], before, n_before))
            continue;
        weir_common_own(base->host, now[i]);
        base->fds[base->n_fds++] = now[i];
    }
}

static void close_env(struct weir_base *base)
{
    while (base->n_fds > 0)
        weir_common_disown(base->host, base->fds[--base->n_fds]);
    mdb_env_close(base->env);
    base->env = NULL;
}

/* Without MDB_NOMETASYNC each commit would wait for the disk twice; what it
 * leaves out is done by weir_base_sync().  The database is sound without. */
static int open_env(struct weir_base *base)
{
    int before[SEEN], n_before = find_open(base, before);
    MDB_stat stat;
    int rc = mdb_env_create(&base->env);

    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(base->env, 3);
    if (rc == 0)
        rc = mdb_env_set_mapsize(base->env, (size_t)base->hard);
    if (rc == 0)
        rc = mdb_env_open(base->env, base->folder, MDB_NOMETASYNC | MDB_NOTLS,
                          0600);
    if (rc == 0)
        rc = mdb_env_stat(base->env, &stat);
    if (rc) {
        close_env(base);
        return rc;
    }
    base->piece = stat.ms_psize - PAGE_HEAD;
    own_new(base, before, n_before);
    return 0;
}

int weir_base_open(struct weir_base *base, const weir_host *host,
                   const char *folder, uint64_t budget)
{
    int rc;

    *base = (struct weir_base){.host = host, .folder = folder, .freed = true};
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
        close_env(base);
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
    head->len = weir_common_get(octets + 16, 4);
}

static int get_consumed(struct weir_base *base, MDB_txn *txn, MDB_val *key,
                        uint32_t messages, uint32_t *consumed)
{
    MDB_val value;
    int rc = mdb_get(txn, base->consumed, key, &value);

    *consumed = 0;
    if (rc == 0 && value.mv_size == 4)
        *consumed = (uint32_t)weir_common_get(value.mv_data, 4);
    /* No block has more messages than it has. */
    if (*consumed > messages)
        *consumed = 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Has a block the octets that its head says?  The last of its pieces tells. */
static int check_length(struct weir_base *base, MDB_txn *txn,
                        const struct weir_base_head *head, MDB_val value,
                        bool *whole)
{
    uint64_t size = head->len + HEAD;
    uint32_t last = (uint32_t)((size - 1) / base->piece);
    uint8_t octets[12];
    MDB_val key = piece_key(head->handle, last, octets);
    int rc = last > 0 ? mdb_get(txn, base->blocks, &key, &value) : 0;

    *whole = rc == 0 && value.mv_size == size - last * base->piece;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The block at or behind a key, by `op`; its first piece lasts as long as
 * txn. */
static int look(struct weir_base *base, MDB_txn *txn, uint64_t handle,
                MDB_cursor_op op, struct weir_base_head *head, MDB_val *value)
{
    uint8_t octets[8];
    MDB_val key = key_of(handle, octets);
    MDB_cursor *cursor;
    bool whole;
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
    /* Handles are numbered from 0, and there is always a next one. */
    if (head->handle >= INT64_MAX)
        return EINVAL;
    rc = check_length(base, txn, head, *value, &whole);
    if (rc)
        return rc;
    if (!whole)
        head->len = value->mv_size - HEAD; /* its sum will tell */
    return get_consumed(base, txn, &key, head->messages, &head->consumed);
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

/* Copy a block from its first piece, and from the others.  What is not the
 * length that it should have is damaged. */
static int copy_block(struct weir_base *base, MDB_txn *txn,
                      const struct weir_base_head *head, MDB_val value,
                      uint8_t *data)
{
    size_t skip = HEAD, left = (size_t)head->len;
    uint32_t number = 0;
    uint8_t octets[12];

    for (;;) {
        size_t size = value.mv_size - skip;
        MDB_val key;
        int rc;

        if (size > left || (size == 0 && left > 0))
            return EILSEQ;
        if (size)
            memcpy(data, (const uint8_t *)value.mv_data + skip, size);
        if ((left -= size) == 0)
            return 0;
        data += size;
        skip = 0;
        key = piece_key(head->handle, ++number, octets);
        rc = mdb_get(txn, base->blocks, &key, &value);
        if (rc)
            return rc == MDB_NOTFOUND ? EILSEQ : rc;
    }
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
    else if (rc == 0)
        rc = copy_block(base, txn, head, value, data);
    mdb_txn_abort(txn);
    return code_of(rc);
}

/* ---- changing ---- */

/* All records whose keys begin with the handle. */
static int drop_block(struct weir_base *base, MDB_txn *txn, uint64_t handle)
{
    uint8_t octets[8];
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, base->blocks, &cursor);

    if (rc)
        return rc;
    do {
        MDB_val key = key_of(handle, octets), value;

        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (rc == 0 && (key.mv_size < 8 || memcmp(key.mv_data, octets, 8) != 0))
            rc = MDB_NOTFOUND;
        if (rc == 0)
            rc = mdb_cursor_del(cursor, 0);
    } while (rc == 0);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

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
    return rc == 0 || rc == MDB_NOTFOUND ? drop_block(base, txn, mark->handle)
                                         : rc;
}

static int apply_marks(struct weir_base *base, MDB_txn *txn,
                       const struct weir_base_mark *marks, int n)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < n; i++)
        rc = apply_mark(base, txn, &marks[i]);
    return rc;
}

/* Octets that lie in several places. */
struct source {
    const struct iovec *parts;
    size_t at; /* in the first of them */
};

static void copy_from(struct source *source, uint8_t *to, size_t size)
{
    while (size > 0) {
        size_t left = source->parts->iov_len - source->at;
        size_t now = size < left ? size : left;

        if (now)
            memcpy(to, (const uint8_t *)source->parts->iov_base + source->at,
                   now);
        to += now;
        size -= now;
        source->at += now;
        if (source->at == source->parts->iov_len) {
            source->parts++;
            source->at = 0;
        }
    }
}

static void pack(const struct weir_base_head *head, uint8_t octets[HEAD])
{
    weir_common_put(octets, head->first, 8);
    weir_common_put(octets + 8, head->messages, 4);
    weir_common_put(octets + 12, head->crc, 4);
    weir_common_put(octets + 16, head->len, 4);
}

/* Each piece has a page of its own, or shares one, so that it does not matter
 * whether those that are free lie beside each other. */
static int put_block(struct weir_base *base, MDB_txn *txn,
                     const struct weir_base_head *head,
                     const struct iovec *parts)
{
    size_t skip = HEAD, left = (size_t)head->len;
    struct source source = {parts, 0};
    uint8_t octets[12];

    for (uint32_t number = 0; number == 0 || left > 0; number++) {
        MDB_val key = piece_key(head->handle, number, octets), value;
        size_t size = left < base->piece - skip ? left : base->piece - skip;
        int rc;

        value.mv_size = skip + size;
        rc = mdb_put(txn, base->blocks, &key, &value, MDB_RESERVE | MDB_APPEND);
        if (rc)
            return rc;
        if (skip)
            pack(head, value.mv_data);
        copy_from(&source, (uint8_t *)value.mv_data + skip, size);
        left -= size;
        skip = 0;
    }
    return 0;
}

/* After a commit that failed liblmdb may want nothing to do with the database
 * any more, not even read it, until it is opened again. */
static int revive(struct weir_base *base)
{
    int rc;

    weir_base_close(base);
    rc = open_env(base);
    if (rc == 0)
        rc = open_tables(base);
    if (rc)
        weir_base_close(base);
    return rc;
}

/* A disk that is full in the middle of a page is EIO to liblmdb: what commit()
 * says, if there is not the room for a transaction that writes so much. */
static int full_or(struct weir_base *base, int rc, uint64_t octets)
{
    struct statvfs disk;
    int fd;

    if (rc != EIO || mdb_env_get_fd(base->env, &fd) != 0 ||
        fstatvfs(fd, &disk) < 0)
        return rc;
    return (uint64_t)disk.f_bavail * disk.f_frsize < octets ? ENOSPC : rc;
}

/* Commit a transaction that writes about so many octets. */
static int commit(struct weir_base *base, MDB_txn *txn, uint64_t octets)
{
    int rc = mdb_txn_commit(txn);

    if (rc && rc != MDB_MAP_FULL) {
        rc = full_or(base, rc, octets);
        (void)revive(base);
    }
    return rc;
}

/* Pages of the records that are looked at, so many at most. */
static int count_listed(MDB_txn *txn, uint64_t records, uint64_t *pages)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    size_t count;
    int rc = mdb_cursor_open(txn, FREE_PAGES, &cursor);

    if (rc)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0 &&
           records-- > 0) {
        memcpy(&count, value.mv_data, sizeof count);
        *pages += count;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Pages that are free, now or for one of the next transactions, in so many
 * records at most; and those that the records are in, which are used up with
 * them.  Until they can be used again the reserve stands in. */
static int count_free(struct weir_base *base, uint64_t records, uint64_t *pages)
{
    MDB_stat stat;
    MDB_txn *txn;
    int rc = begin(base, MDB_RDONLY, &txn);

    if (rc)
        return rc;
    rc = count_listed(txn, records, pages);
    if (rc == 0)
        rc = mdb_stat(txn, FREE_PAGES, &stat);
    if (rc == 0)
        *pages +=
            stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    mdb_txn_abort(txn);
    return rc;
}

/* Octets that a transaction with this block writes at most. */
static uint64_t block_size(const struct weir_base_head *head)
{
    return head ? head->len + head->len / PART + SLACK * page_size() : 0;
}

/* Is there room for a block, with the reserve left as it is?  Returns 0,
 * MDB_MAP_FULL, or an error. */
static int check_room(struct weir_base *base, const struct weir_base_head *head)
{
    uint64_t used, pages = 0, need = block_size(head);
    int rc = ensure_open(base);
    MDB_stat stat;

    if (rc || !head)
        return rc;
    used = weir_base_size(base);
    if (used + need <= base->soft)
        return 0;
    rc = count_free(base, UINT64_MAX, &pages);
    if (rc == 0)
        rc = mdb_env_stat(base->env, &stat);
    if (rc)
        return rc;
    return used - pages * stat.ms_psize + need <= base->soft ? 0 : MDB_MAP_FULL;
}

/* What is no longer than half a page may share one. */
uint64_t weir_base_own(const struct weir_base *base, uint64_t len)
{
    uint64_t size = len + HEAD, pages = size / base->piece;

    return (pages + (size % base->piece > base->piece / 2)) *
           (base->piece + PAGE_HEAD);
}

uint64_t weir_base_each(void)
{
    return SLACK * page_size();
}

/* What is gone, or goes with the next write, leaves a few pages of tables. */
uint64_t weir_base_room(struct weir_base *base, bool empty, uint64_t going)
{
    uint64_t used = weir_base_size(base), pages = 0, head = SLACK * page_size();
    MDB_stat stat;

    if (empty)
        used = SLACK * page_size();
    else if (used > base->soft / 2 &&
             count_free(base, LOOKED_AT, &pages) == 0 &&
             mdb_env_stat(base->env, &stat) == 0)
        used -= pages * stat.ms_psize;
    if (!empty)
        used -= between(going, 0, used);
    used += head;
    return base->soft > used ? (base->soft - used) / (PART + 1) * PART : 0;
}

static int try_change(struct weir_base *base, const struct weir_base_head *head,
                      const struct iovec *parts,
                      const struct weir_base_mark *marks, int n_marks)
{
    MDB_txn *txn;
    int rc = check_room(base, head);

    if (rc == 0)
        rc = begin(base, 0, &txn);
    if (rc)
        return rc;
    rc = apply_marks(base, txn, marks, n_marks);
    if (rc == 0 && head)
        rc = put_block(base, txn, head, parts);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = commit(base, txn, block_size(head) + base->reserve);
    base->freed |= rc == 0 && n_marks > 0;
    if (rc == 0 && head && head->len >= KEPT)
        (void)revive(base); /* liblmdb keeps single pages until it is closed */
    return rc;
}

/* One transaction: marks, and a block unless head is NULL.  A reader that was
 * killed keeps all pages that are freed after it began, until it is missed. */
static int change(struct weir_base *base, const struct weir_base_head *head,
                  const struct iovec *parts, const struct weir_base_mark *marks,
                  int n_marks)
{
    int dead = 0, rc = try_change(base, head, parts, marks, n_marks);

    if (rc != MDB_MAP_FULL || mdb_reader_check(base->env, &dead) != 0 ||
        dead == 0)
        return rc;
    return try_change(base, head, parts, marks, n_marks);
}

/* Let the file grow by a few pages, so that its blocks can be let go.  A map
 * that has failed to change is none: the database is opened again. */
static int grow(struct weir_base *base)
{
    if (base->hard > MAP_MAX - RESERVE_MIN)
        return MDB_MAP_FULL;
    base->hard += RESERVE_MIN;
    if (mdb_env_set_mapsize(base->env, (size_t)base->hard) != 0)
        return revive(base);
    hide_from_children(base); /* it is another map */
    return 0;
}

/* Marks need a few pages before they free any.  What is too much for one
 * transaction goes in several; to apply a mark again does nothing. */
static int change_marks(struct weir_base *base,
                        const struct weir_base_mark *marks, int n)
{
    int step = n, rc = 0;

    while (rc == 0 && n > 0) {
        int now = step < n ? step : n;

        rc = change(base, NULL, NULL, marks, now);
        if (rc == 0) {
            marks += now;
            n -= now;
        } else if (rc == MDB_MAP_FULL) {
            step = now / 2 > 0 ? now / 2 : 1;
            rc = now > 1 ? 0 : grow(base);
        }
    }
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
    return commit(base, txn, base->reserve);
}

/* Of the budget, or the disk, nothing is left but what has been freed. */
static bool is_full(int rc)
{
    return rc == MDB_MAP_FULL || rc == ENOSPC;
}

/* May there be pages that wait for a turn, of this process or of the one
 * before? */
static bool has_freed(const struct weir_base *base, int rc)
{
    return rc == ENOSPC || (rc == MDB_MAP_FULL && base->freed);
}

int weir_base_mark(struct weir_base *base, const struct weir_base_mark *marks,
                   int n_marks)
{
    return n_marks ? code_of(change_marks(base, marks, n_marks)) : 0;
}

int weir_base_write(struct weir_base *base, const struct weir_base_head *head,
                    const struct iovec *parts,
                    const struct weir_base_mark *marks, int *n_marks,
                    bool *full)
{
    int first = change(base, head, parts, marks, *n_marks), rc = first;

    if (is_full(rc) && *n_marks) {
        rc = change_marks(base, marks, *n_marks);
        if (rc == 0) {
            *n_marks = 0;
            rc = first;
        }
    }
    for (int i = 0; has_freed(base, rc) && i < TURNS; i++) {
        rc = turn(base);
        if (rc == 0)
            rc = change(base, head, parts, NULL, 0);
    }
    if (rc == 0)
        *n_marks = 0;
    base->freed &= rc != MDB_MAP_FULL;
    *full = rc == MDB_MAP_FULL;
    return code_of(rc);
}

/* A file that another process reads is its own from then on. */
static int make_anew(struct weir_base *base)
{
    static const char *const names[] = {WEIR_BASE_FILE, WEIR_BASE_LOCK};
    char path[PATH_MAX];

    weir_base_close(base);
    base->settled = false;
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", base->folder, names[i]);

        if (n < 0 || (size_t)n >= sizeof path)
            return ENAMETOOLONG;
        if (unlink(path) < 0 && errno != ENOENT)
            return errno;
    }
    base->hard = base->soft + base->reserve;
    base->freed = false;
    return revive(base);
}

int weir_base_write_anew(struct weir_base *base,
                         const struct weir_base_head *head,
                         const struct iovec *parts, bool *full)
{
    int rc = make_anew(base);

    if (rc == 0)
        rc = change(base, head, parts, NULL, 0);
    *full = rc == MDB_MAP_FULL;
    return code_of(rc);
}

int weir_base_sync(struct weir_base *base)
{
    int rc = ensure_open(base);

    return code_of(rc ? rc : mdb_env_sync(base->env, 1));
}
