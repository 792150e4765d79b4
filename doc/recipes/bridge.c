/*
 * bridge.c - what is published at one URL is published at another, whatever
 * their transports are: from tcp into a multicast group, or back.
 *
 * A group carries no subscriptions, so all that is published goes over it.
 */
#include "recipe.h"

static int bridge(const char *from_url, const char *to_url)
{
    weir_socket from, to, none = {0, 0};
    weir_context context;
    weir_device device;
    int rc;

    catch_stop();
    if ((rc = open_one(&context, &from, WEIR_SUB)) < 0 ||
        (rc = weir_open(&to, context, WEIR_PUB)) < 0 ||
        (rc = weir_subscribe(from, "", 0)) < 0 ||
        (rc = weir_bind(to, to_url, NULL)) < 0 ||
        (rc = weir_connect(from, from_url, NULL)) < 0 ||
        (rc = weir_device_start(&device, from, to, none, 0)) < 0 ||
        (rc = run_device(device)) < 0 ||
        (rc = weir_close(from, PATIENCE, NULL)) < 0)
        return failed("bridge", rc);
    return close_one(context, to);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return bridge(argv[1], argv[2]);
    return usage("usage: bridge FROM-URL TO-URL\n");
}
