#include "config.h"

#include "frame.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "peer_info.h"

static void set_slice(weir_frame *frame, struct weir_chunk *chunk, void *data,
                      size_t size)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    weir_frame_clear(view);
    view->kind = WEIR_FRAME_SLICE;
    view->slice.data = data;
    view->slice.size = size;
    view->slice.chunk = chunk;
}

void weir_frame_init(weir_frame *frame)
{
    weir_frame_clear(weir_frame_view(frame));
}

int weir_frame_make(weir_frame *frame, size_t size)
{
    struct weir_chunk *chunk;

    weir_frame_init(frame);
    if (size <= WEIR_FRAME_INLINE_MAX) {
        weir_frame_view(frame)->inline_size = (uint8_t)size;
        return 0;
    }
    chunk = weir_chunk_new(size);
    if (!chunk)
        return weir_fail(ENOMEM, "no memory for a frame of %zu octets", size);
    set_slice(frame, chunk, chunk->data, size);
    return 0;
}

/* Octets that are nowhere. */
static int check_data(const void *data, size_t size)
{
    return data || !size
               ? 0
               : weir_fail(EINVAL, "the data is NULL, of %zu octets", size);
}

int weir_frame_fill(weir_frame *frame, const void *data, size_t size)
{
    int error = check_data(data, size);

    weir_frame_init(frame);
    if (!error)
        error = weir_frame_make(frame, size);
    if (!error && size)
        memcpy(weir_frame_octets(frame), data, size);
    return error;
}

int weir_frame_alloc(weir_frame *frame, size_t size)
{
    return weir_answer(weir_frame_make(frame, size));
}

int weir_frame_copy_in(weir_frame *frame, const void *data, size_t size)
{
    return weir_answer(weir_frame_fill(frame, data, size));
}

int weir_frame_wrap(weir_frame *frame, void *data, size_t size,
                    void (*release)(void *data, void *hint), void *hint)
{
    int error = check_data(data, size);
    struct weir_chunk *chunk;

    weir_frame_init(frame);
    if (error)
        return weir_answer(error);
    chunk = weir_chunk_wrap(data, size, release, hint);
    if (!chunk)
        return weir_answer(
            weir_fail(ENOMEM, "no memory to wrap a frame of %zu octets", size));
    set_slice(frame, chunk, data, size);
    return 0;
}

void weir_frame_share(weir_frame *copy, const weir_frame *frame)
{
    const struct weir_frame_view *view = weir_frame_view_const(frame);

    if (view->kind == WEIR_FRAME_SLICE && view->slice.chunk)
        weir_chunk_ref(view->slice.chunk, 1);
    if (view->peer)
        weir_peer_info_ref(view->peer, 1);
    *copy = *frame;
}

void weir_frame_move(weir_frame *to, weir_frame *from)
{
    *to = *from;
    weir_frame_init(from);
}

void weir_frame_fini(weir_frame *frame)
{
    struct weir_frame_view *view = weir_frame_view(frame);

    if (view->kind == WEIR_FRAME_SLICE && view->slice.chunk)
        weir_chunk_unref(view->slice.chunk, 1);
    if (view->peer)
        weir_peer_info_unref(view->peer, 1);
    weir_frame_clear(view);
}

void *weir_frame_data(weir_frame *frame)
{
    return weir_frame_octets(frame);
}

size_t weir_frame_size(const weir_frame *frame)
{
    return weir_frame_length(frame);
}

const void *weir_frame_property(const weir_frame *frame, const char *name,
                                size_t *size)
{
    const struct weir_frame_view *view = weir_frame_view_const(frame);

    return view->peer ? weir_peer_info_property(view->peer, name, size) : NULL;
}
