/*
 * frame.h - the inside of a weir_frame.
 * Above: message.h, queue.h, pattern/.  Below: chunk.h, peer_info.h.
 *
 * All zero is an empty frame.  The public functions, weir_frame_*, are
 * declared in weir.h and live in frame.c.
 */
#ifndef WEIR_FRAME_H
#define WEIR_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <weir/weir.h>

#include "chunk.h"

struct weir_peer_info;

/* Flags of a frame on the wire: ZMTP 3.1, RFC 37, section "Framing". */
enum weir_frame_flags {
    WEIR_FRAME_MORE = 1,
    WEIR_FRAME_LONG = 2, /* the size has 8 octets, not 1; not kept in frames */
    WEIR_FRAME_COMMAND = 4
};

enum weir_frame_kind {
    WEIR_FRAME_INLINE = 0, /* the payload is in the frame */
    WEIR_FRAME_SLICE = 1 /* it is in a chunk, one reference of which is ours; or
                            borrowed, without a chunk */
};

/* The longest inline payload. */
#define WEIR_FRAME_INLINE_MAX 40

/* What a weir_frame's opaque words are. */
struct weir_frame_view {
    uint8_t kind;        /* enum weir_frame_kind */
    uint8_t flags;       /* enum weir_frame_flags, as received */
    uint8_t inline_size; /* of an inline payload */
    uint8_t spare[5];
    uint32_t routing; /* the peer it came from, in its socket; 0: none */
    uint32_t spare2;
    struct weir_peer_info *peer; /* one reference is ours; NULL: none */
    union {
        _Alignas(8) uint8_t octets[WEIR_FRAME_INLINE_MAX];
        struct {
            uint8_t *data;
            size_t size;
            struct weir_chunk *chunk;
        } slice;
    };
} __attribute__((may_alias));

_Static_assert(sizeof(struct weir_frame_view) == sizeof(weir_frame),
               "a frame is 64 octets");

/* The inside of a frame. */
static inline struct weir_frame_view *weir_frame_view(weir_frame *frame)
{
    return (struct weir_frame_view *)(void *)frame;
}

static inline const struct weir_frame_view *
weir_frame_view_const(const weir_frame *frame)
{
    return (const struct weir_frame_view *)(const void *)frame;
}

/* Make it an empty frame; the payload's octets need no clearing. */
static inline void weir_frame_clear(struct weir_frame_view *view)
{
    view->kind = WEIR_FRAME_INLINE;
    view->flags = 0;
    view->inline_size = 0;
    view->routing = 0;
    view->peer = NULL;
}

/* The payload and its octets; what weir_frame_data() and _size() give. */
static inline uint8_t *weir_frame_octets(weir_frame *frame)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    return view->kind == WEIR_FRAME_INLINE ? view->octets : view->slice.data;
}

static inline size_t weir_frame_length(const weir_frame *frame)
{
    const struct weir_frame_view *view = weir_frame_view_const(frame);

    return view->kind == WEIR_FRAME_INLINE ? view->inline_size
                                           : view->slice.size;
}

/* The chunk that holds the payload; NULL: the frame itself does.  Borrowed. */
static inline struct weir_chunk *weir_frame_chunk(const weir_frame *frame)
{
    const struct weir_frame_view *view = weir_frame_view_const(frame);

    return view->kind == WEIR_FRAME_INLINE ? NULL : view->slice.chunk;
}

/* What weir_frame_alloc() and weir_frame_copy_in() do, where no public call
 * ends with it.
 * Errors: -ENOMEM.
 * Thread: the frame's. */
int weir_frame_make(weir_frame *frame, size_t size);
int weir_frame_fill(weir_frame *frame, const void *data, size_t size);

/* Say which peer a frame came from: its routing number, and its properties, a
 * reference to which becomes the frame's.  `info` may be NULL.  The frame has
 * no peer yet.
 * Thread: the frame's. */
static inline void weir_frame_set_peer(weir_frame *frame, uint32_t routing,
                                       struct weir_peer_info *info)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    view->routing = routing;
    view->peer = info;
}

/* The routing number of the peer a frame came from; 0: none. */
static inline uint32_t weir_frame_routing(const weir_frame *frame)
{
    return weir_frame_view_const(frame)->routing;
}

#endif
