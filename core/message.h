/*
 * message.h - a row of frames, as the core uses it.
 * Above: pattern/, socket.h, queue.c.  Below: frame.h.
 *
 * The public functions, weir_message_*, are declared in weir.h and live in
 * message.c.
 */
#ifndef WEIR_MESSAGE_H
#define WEIR_MESSAGE_H

#include <stdint.h>
#include <string.h>

#include <weir/weir.h>

#include "frame.h"

/* The most frames of a message. */
#define WEIR_MESSAGE_FRAMES (UINT32_C(1) << 20)

/* The frame at `index`, which is below the count.  Borrowed. */
static inline weir_frame *weir_message_at(weir_message *message, uint32_t index)
{
    return index ? &message->rest[index - 1] : &message->first;
}

/* Put an empty frame at the end of a message, for the caller to fill.
 * *frame is borrowed; it moves with the next change of the message.
 * Thread: the message's.
 * Errors: -ENOMEM; -E2BIG beyond WEIR_MESSAGE_FRAMES. */
int weir_message_extend(weir_message *message, weir_frame **frame);

/* Put an empty frame before the others, for the caller to fill; as above. */
int weir_message_prepend(weir_message *message, weir_frame **frame);

/* Make a message of one frame around octets that stay the caller's.  It must
 * not outlive the call it is made for, and is not to be finished. */
static inline void weir_message_borrow(weir_message *message, const void *data,
                                       size_t size)
{
    struct weir_frame_view *view = weir_frame_view(&message->first);

    weir_frame_clear(view);
    view->kind = WEIR_FRAME_SLICE;
    view->slice.chunk = NULL;
    view->slice.data = (uint8_t *)(uintptr_t)data;
    view->slice.size = size;
    message->rest = NULL;
    message->count = 1;
    message->room = 0;
}

#endif
