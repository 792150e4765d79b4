#include "config.h"

#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/debug.h"
#include "base/error.h"
#include "frame.h"

#define ROOM_AT_FIRST 4

/* Make room for `frames` behind the first. */
static int reserve(weir_message *message, uint32_t frames)
{
    uint32_t room = message->room ? message->room : ROOM_AT_FIRST;
    weir_frame *rest;

    if (frames <= message->room)
        return 0;
    while (room < frames)
        room *= 2;
    rest = realloc(message->rest, room * sizeof(*rest));
    if (!rest)
        return weir_fail(ENOMEM, "no memory for a message of %lu frames",
                         (unsigned long)frames + 1);
    message->rest = rest;
    message->room = room;
    return 0;
}

/* Make room for one frame more. */
static int reserve_one(weir_message *message)
{
    if (message->count >= WEIR_MESSAGE_FRAMES)
        return weir_fail(E2BIG, "a message has %lu frames at most",
                         (unsigned long)WEIR_MESSAGE_FRAMES);
    return reserve(message, message->count);
}

int weir_message_extend(weir_message *message, weir_frame **frame)
{
    int error = reserve_one(message);

    if (error)
        return error;
    *frame = weir_message_at(message, message->count++);
    weir_frame_init(*frame);
    return 0;
}

int weir_message_prepend(weir_message *message, weir_frame **frame)
{
    int error = reserve_one(message);

    if (error)
        return error;
    if (message->count) {
        memmove(message->rest + 1, message->rest,
                (message->count - 1) * sizeof(*message->rest));
        message->rest[0] = message->first;
    }
    message->count++;
    *frame = &message->first;
    weir_frame_init(*frame);
    return 0;
}

void weir_message_init(weir_message *message)
{
    weir_frame_clear(weir_frame_view(&message->first));
    message->rest = NULL;
    message->count = message->room = 0;
}

void weir_message_fini(weir_message *message)
{
    for (uint32_t i = 0; i < message->count; i++)
        weir_frame_fini(weir_message_at(message, i));
    if (WEIR_UNLIKELY(message->rest))
        free(message->rest);
    message->rest = NULL;
    message->count = message->room = 0;
}

int weir_message_push(weir_message *message, weir_frame *frame)
{
    weir_frame *last;
    int error = weir_message_extend(message, &last);

    if (!error)
        weir_frame_move(last, frame);
    return weir_answer(error);
}

int weir_message_add(weir_message *message, const void *data, size_t size)
{
    weir_frame frame, *last;
    int error = weir_frame_fill(&frame, data, size);

    if (error)
        return weir_answer(error);
    error = weir_message_extend(message, &last);
    if (error)
        weir_frame_fini(&frame);
    else
        weir_frame_move(last, &frame);
    return weir_answer(error);
}

uint32_t weir_message_count(const weir_message *message)
{
    return message->count;
}

weir_frame *weir_message_frame(weir_message *message, uint32_t index)
{
    return index < message->count ? weir_message_at(message, index) : NULL;
}

int weir_message_pop(weir_message *message, weir_frame *out)
{
    if (message->count == 0)
        return weir_answer(
            weir_fail(ENOENT, "the message has no frame to take off"));
    weir_frame_move(out, &message->first);
    message->count--;
    if (message->count) {
        message->first = message->rest[0];
        memmove(message->rest, message->rest + 1,
                (message->count - 1) * sizeof(*message->rest));
    }
    return 0;
}

void weir_message_move(weir_message *to, weir_message *from)
{
    *to = *from;
    weir_message_init(from);
}

int weir_message_share(weir_message *copy, const weir_message *message)
{
    int error;

    weir_message_init(copy);
    error = reserve(copy, message->count ? message->count - 1 : 0);
    if (error)
        return weir_answer(error);
    if (message->count)
        weir_frame_share(&copy->first, &message->first);
    for (uint32_t i = 1; i < message->count; i++)
        weir_frame_share(&copy->rest[i - 1], &message->rest[i - 1]);
    copy->count = message->count;
    return 0;
}
