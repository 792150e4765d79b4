/* recover.c - see recover.h. */
#include "config.h"

#include "recover.h"

#include "record.h"

#include "../common/crc32c.h"
#include "../common/queue_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10) /* octets that are looked at in one go */

/* ---- which segments there are ---- */

struct numbers {
    uint64_t *list;
    size_t count, room;
};

static int add_number(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->room) {
        size_t room = numbers->room ? 2 * numbers->room : 64;
        uint64_t *list = realloc(numbers->list, room * sizeof *list);

        if (!list)
            return -ENOMEM;
        numbers->list = list;
        numbers->room = room;
    }
    numbers->list[numbers->count++] = number;
    return 0;
}

static int take_name(const struct weir_segment_folder *folder,
                     struct numbers *numbers, const char *name,
                     weir_error *error)
{
    uint64_t number = weir_segment_number(name);

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strcmp(name, WEIR_QUEUE_FOLDER_LOCK) == 0)
        return 0;
    if (number == 0)
        return folder->host->fail(error, EINVAL,
                                  "%s/%s: this is no file of a store",
                                  folder->path, name);
    if (add_number(numbers, number) < 0)
        return weir_segment_fail(folder, error, ENOMEM, "a list of segments");
    return 0;
}

/* A stream of its own, since it reads to the end of its descriptor. */
static DIR *open_stream(const struct weir_segment_folder *folder)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int code = errno;

    if (!stream && fd >= 0)
        (void)close(fd);
    errno = code;
    return stream;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static int list_numbers(const struct weir_segment_folder *folder,
                        struct numbers *numbers, weir_error *error)
{
    DIR *stream = open_stream(folder);
    struct dirent *entry;
    int rc = 0;

    if (!stream)
        return weir_segment_fail(folder, error, errno, "cannot be read");
    while (rc == 0 && (errno = 0, entry = readdir(stream)) != NULL)
        rc = take_name(folder, numbers, entry->d_name, error);
    if (rc == 0 && errno)
        rc = weir_segment_fail(folder, error, errno, "cannot be read");
    closedir(stream);
    if (rc == 0 && numbers->count)
        qsort(numbers->list, numbers->count, sizeof *numbers->list, by_number);
    return rc;
}

/* ---- what is in one ---- */

int weir_recover_sum(const struct weir_segment *segment, uint64_t at,
                     uint64_t len, uint32_t *crc)
{
    size_t room = len < PIECE ? (size_t)len : PIECE;
    uint8_t *piece = malloc(room ? room : 1);
    int rc = piece ? 0 : -ENOMEM;

    *crc = 0;
    while (rc == 0 && len > 0) {
        size_t n = len < PIECE ? (size_t)len : PIECE;

        rc = weir_segment_read(segment, piece, n, at);
        if (rc == 0)
            *crc = weir_common_crc32c(*crc, piece, n);
        at += n;
        len -= n;
    }
    free(piece);
    return rc;
}

/* The segment under way, and what is not settled of those before. */
struct scan {
    const struct weir_segment_folder *folder;
    struct weir_recovery *recovery;
    struct weir_segment *segment;
    uint64_t length; /* of its file */
    uint64_t behind; /* where the record after the last one should be */
    bool skipped;    /* something between the two could not be read */
    uint64_t next;   /* the sequence number that comes next; 0: not known */
    /* What the last segment has behind its last record; NULL: nothing. */
    struct weir_segment *rest_in;
    uint64_t rest, rest_octets;
    /* Blocks at the end of all so far whose octets are wrong: torn off, if no
     * whole one comes any more, in whichever segment. */
    struct weir_segment *bad_in;
    uint64_t bad, bad_octets;
    uint64_t end_without; /* the end of bad_in, less these */
};

static int keep(struct scan *scan, struct weir_segment *segment, uint64_t at,
                const struct weir_record *record, uint32_t consumed,
                uint8_t mark)
{
    struct weir_recovery *recovery = scan->recovery;
    struct weir_place *place;

    if (weir_places_reserve(&recovery->places) < 0)
        return -ENOMEM;
    place = weir_places_take(&recovery->places);
    place->segment = segment;
    place->at = at;
    place->len = record->len;
    place->first = record->first;
    place->messages = record->messages;
    place->consumed = consumed;
    place->crc = record->crc;
    place->mark = mark;
    place->headless = false;
    segment->blocks++;
    recovery->blocks++;
    recovery->messages += record->messages - consumed;
    return 0;
}

/* What the disk does not give back now it may give back another time. */
static bool is_unreadable(int rc)
{
    return rc < 0 && rc != -ENOMEM;
}

/* There is a record from `at` to `next`, with right octets or wrong ones. */
static void settle(struct scan *scan, uint64_t at, uint64_t next, bool good)
{
    if (good || scan->bad_in != scan->segment)
        scan->bad = scan->bad_octets = 0;
    if (good)
        return;
    if (scan->bad == 0) {
        scan->bad_in = scan->segment;
        scan->end_without = scan->segment->end;
    }
    scan->bad++;
    scan->bad_octets += next - at;
}

/* A block without a head, of the messages up to `first`. */
static int keep_headless(struct scan *scan, struct weir_segment *segment,
                         uint64_t at, uint64_t size, uint64_t first)
{
    const struct weir_record record = {.first = scan->next,
                                       .len = size - WEIR_RECORD_HEAD,
                                       .messages =
                                           (uint32_t)(first - scan->next)};
    int rc = keep(scan, segment, at, &record, 0, WEIR_RECORD_MARKS - 1);

    if (rc == 0)
        scan->recovery->places.list[scan->recovery->blocks - 1].headless = true;
    return rc;
}

/* What was torn off at the end of the segment before this one is a block, after
 * all: its messages are missing. */
static int take_rest(struct scan *scan, uint64_t first)
{
    struct weir_segment *segment = scan->rest_in;

    if (!segment || segment->number + 1 != scan->segment->number)
        return 0;
    scan->rest_in = NULL;
    scan->recovery->torn -= scan->rest_octets;
    segment->end = scan->rest + scan->rest_octets;
    return keep_headless(scan, segment, scan->rest, scan->rest_octets, first);
}

/* There is a whole head at `at`, of a block that begins with message `first`.
 * What lies before it, and is no record, is a block if messages are missing. */
static int take_gap(struct scan *scan, uint64_t at, uint64_t first)
{
    uint64_t size = at - scan->behind;

    if (scan->skipped || scan->next == 0 || first <= scan->next ||
        first - scan->next > UINT32_MAX) {
        scan->recovery->torn += size;
        return 0;
    }
    if (size == 0)
        return take_rest(scan, first);
    settle(scan, scan->behind, at, false);
    return keep_headless(scan, scan->segment, scan->behind, size, first);
}

enum found {
    FOUND_NOTHING, /* no whole head */
    FOUND_RECORD,
    FOUND_CUT /* a head, and the file ends before its block does */
};

/* What is at `at`: an enum found, or an error. */
static int scan_record(struct scan *scan, uint64_t at, uint64_t *next)
{
    uint8_t head[WEIR_RECORD_HEAD], mark;
    struct weir_record record;
    uint32_t consumed, crc;
    int rc = weir_segment_read(scan->segment, head, sizeof head, at);

    if (rc < 0)
        return rc;
    if (!weir_record_unpack(head, scan->segment->number, at, &record, &consumed,
                            &mark))
        return FOUND_NOTHING;
    if (record.len > scan->length - at - sizeof head)
        return FOUND_CUT;
    if (consumed != WEIR_RECORD_ALL && consumed > record.messages)
        consumed = 0;
    rc = take_gap(scan, at, record.first);
    if (rc < 0)
        return rc;
    *next = at + sizeof head + record.len;
    scan->next = record.first + record.messages;
    if (consumed == WEIR_RECORD_ALL) {
        settle(scan, at, *next, true);
        return FOUND_RECORD;
    }
    rc = weir_recover_sum(scan->segment, at + sizeof head, record.len, &crc);
    if (rc < 0 && !is_unreadable(rc))
        return rc;
    settle(scan, at, *next, rc < 0 || crc == record.crc);
    rc = keep(scan, scan->segment, at, &record, consumed, mark);
    return rc < 0 ? rc : FOUND_RECORD;
}

static bool has_room(const struct scan *scan, uint64_t at)
{
    return at <= scan->length && scan->length - at >= WEIR_RECORD_HEAD;
}

/* The next record at or behind `at`: a head that is damaged is no end of those
 * behind it.  One that can be read another time keeps the segment as it is.
 * Returns an enum found, or an error. */
static int find_record(struct scan *scan, uint64_t *at, uint64_t *next)
{
    int rc = FOUND_NOTHING;

    while (rc == FOUND_NOTHING && has_room(scan, *at)) {
        rc = scan_record(scan, *at, next);
        if (rc == FOUND_NOTHING)
            *at += WEIR_RECORD_HEAD;
        if (!is_unreadable(rc))
            continue;
        scan->segment->unread = scan->skipped = true;
        *at = weir_segment_pages(*at + 1);
        rc = FOUND_NOTHING;
    }
    return rc;
}

static int scan_records(struct scan *scan)
{
    struct weir_segment *segment = scan->segment;
    uint64_t at = WEIR_RECORD_HEAD, next = at;
    int rc;

    segment->end = scan->behind = at;
    scan->skipped = false;
    while ((rc = find_record(scan, &at, &next)) == FOUND_RECORD) {
        segment->end = next;
        at = scan->behind = weir_record_align(next);
        scan->skipped = false;
    }
    return rc < 0 ? rc : 0;
}

/* The last blocks of all were torn off: they go.  Blocks have the places from
 * 0 on, so the newest is known by their number. */
static void forget_last(struct scan *scan)
{
    struct weir_recovery *recovery = scan->recovery;

    if (scan->bad > 0)
        scan->bad_in->end = scan->end_without;
    recovery->torn += scan->bad_octets;
    for (; scan->bad > 0; scan->bad--) {
        struct weir_place *place = &recovery->places.list[--recovery->blocks];

        recovery->messages -= place->messages - place->consumed;
        scan->bad_in->blocks--;
        weir_places_free(&recovery->places, place);
    }
}

/* Whether records are to be looked for in it; or an error.  One whose first
 * octets cannot be read is known by its name. */
static int check_head(struct scan *scan, const char *name, weir_error *error)
{
    uint8_t head[WEIR_RECORD_HEAD] = {0};
    size_t n = scan->length < sizeof head ? (size_t)scan->length : sizeof head;
    enum weir_record_begun begun;

    if (weir_segment_read(scan->segment, head, n, 0) < 0) {
        scan->segment->unread = true;
        return 1;
    }
    begun = weir_record_check(head, scan->length, scan->segment->number);
    if (begun == WEIR_RECORD_FOREIGN)
        return scan->folder->host->fail(
            error, EINVAL, "%s/%s: this is no segment, or of another version",
            scan->folder->path, name);
    return begun == WEIR_RECORD_OURS;
}

/* What is behind the last record counts as torn, for now.  Of what could not be
 * read nobody knows. */
static void find_rest(struct scan *scan)
{
    struct weir_segment *segment = scan->segment;
    uint64_t end = weir_record_align(segment->end);

    scan->rest_in = NULL;
    if (scan->length <= end)
        return;
    scan->rest = end;
    scan->rest_octets = scan->length - end;
    scan->recovery->torn += scan->rest_octets;
    if (segment->end > 0 && !segment->unread &&
        scan->rest_octets >= WEIR_RECORD_HEAD)
        scan->rest_in = segment;
}

static int scan_segment(struct scan *scan, weir_error *error)
{
    char name[WEIR_SEGMENT_NAME];
    int rc;

    weir_segment_name(scan->segment->number, name);
    rc = check_head(scan, name, error);
    if (rc < 0)
        return rc;
    if (rc > 0)
        rc = scan_records(scan);
    if (rc < 0)
        return weir_segment_fail(scan->folder, error, -rc, name);
    find_rest(scan);
    return 0;
}

/* ---- all of them ---- */

static int recover_one(struct scan *scan, uint64_t number, weir_error *error)
{
    struct weir_recovery *recovery = scan->recovery;
    int rc = weir_segment_open(scan->folder, number, &scan->segment,
                               &scan->length, error);

    if (rc < 0)
        return rc;
    if (recovery->youngest)
        recovery->youngest->next = scan->segment;
    else
        recovery->oldest = scan->segment;
    recovery->youngest = scan->segment;
    recovery->bytes += scan->segment->size;
    return scan_segment(scan, error);
}

int weir_recover(const struct weir_segment_folder *folder,
                 struct weir_recovery *recovery, weir_error *error)
{
    struct scan scan = {.folder = folder, .recovery = recovery};
    struct numbers numbers = {NULL, 0, 0};
    int rc = list_numbers(folder, &numbers, error);

    for (size_t i = 0; rc == 0 && i < numbers.count; i++)
        rc = recover_one(&scan, numbers.list[i], error);
    forget_last(&scan);
    free(numbers.list);
    return rc;
}
