/*
 * recover.h - what an earlier process left of a durable queue.
 *
 * Nothing is changed in the folder: who only looks leaves it as it is.
 * Above: store_file.c.  Below: segment.h, record.h.
 */
#ifndef WEIR_STORE_FILE_RECOVER_H
#define WEIR_STORE_FILE_RECOVER_H

#include "places.h"
#include "segment.h"

struct weir_recovery {
    struct weir_segment *oldest, *youngest; /* the caller's */
    struct weir_places places; /* the caller's; the oldest block is the first */
    uint64_t bytes;            /* of disk space in use */
    uint64_t blocks, messages; /* that are not wholly consumed; messages less
                                  those that are consumed */
    uint64_t torn;             /* octets that are in no whole record */
};

/* Look through all segments of the folder, oldest first.  A block is whole if
 * its head is and its octets have the right sum.  One whose octets are wrong,
 * with a whole head behind it in any segment, is kept for read() to complain
 * of: it was not torn off, and its messages are not to vanish uncounted.  So
 * is one whose octets the disk does not give back.  Where a head is damaged,
 * the next whole one is looked for, and what lies between is a block that is
 * `headless`, if the sequence numbers tell of messages that are missing, and
 * otherwise counts as torn.  So it is with what is behind the last whole head
 * of a segment, which the first one of the next segment tells of.  A segment of
 * which a head cannot be read is `unread`.
 * Ownership: what was found is in *recovery after a failure too.
 * Errors: -EINVAL there is a foreign file, which is named; -ENOMEM, -EMFILE,
 * and what the system says of the folder. */
int weir_recover(const struct weir_segment_folder *folder,
                 struct weir_recovery *recovery, weir_error *error);

/* The sum of a block's octets, read from the disk.
 * Errors: what read() says; -EIO the file ends too early. */
int weir_recover_sum(const struct weir_segment *segment, uint64_t at,
                     uint64_t len, uint32_t *crc);

#endif
