/*
 * peer_info.h - what a peer said about itself, shared by its frames.
 * Above: link.h, frame.h.  Below: zmtp.h, which reads it.
 *
 * Made once, when a handshake has ended; constant from then on.  Frames may
 * outlive the link they came by, so it is counted.
 */
#ifndef WEIR_PEER_INFO_H
#define WEIR_PEER_INFO_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* References that the maker holds: it may hand out that many single ones
 * without touching the counter, and in the end drops WEIR_PEER_INFO_HOLD minus
 * what it handed out. */
#define WEIR_PEER_INFO_HOLD (UINT64_C(1) << 32)

struct weir_peer_info {
    _Atomic uint64_t refs;
    size_t size;
    uint8_t metadata[]; /* ZMTP 3.1, RFC 37, section "Metadata" */
};

/* Make one around a copy of `size` octets of metadata.  WEIR_PEER_INFO_HOLD
 * references are the caller's.
 * Returns NULL without memory.
 * Thread: any. */
struct weir_peer_info *weir_peer_info_new(const void *metadata, size_t size);

/* Take `n` more references.
 * Thread: any that holds one. */
static inline void weir_peer_info_ref(struct weir_peer_info *info, uint64_t n)
{
    atomic_fetch_add_explicit(&info->refs, n, memory_order_relaxed);
}

/* Drop `n` references; the last one frees.
 * Thread: any that holds them. */
void weir_peer_info_unref(struct weir_peer_info *info, uint64_t n);

/* The value of property `name`, compared without case (ASCII), and its octets
 * in *size.  Borrowed from `info`.  Metadata that ends in the middle of a
 * property ends before it.
 * Returns NULL when there is none; *size is untouched then.
 * Thread: any that holds a reference. */
const void *weir_peer_info_property(const struct weir_peer_info *info,
                                    const char *name, size_t *size);

#endif
