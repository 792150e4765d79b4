/*
 * noise.c - datagrams for a group that are none of PGM: of random octets, of
 * every length, some of which begin as packets do.
 *
 * usage: noise GROUP PORT INTERFACE-ADDRESS SECONDS
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

enum { ROOM = 1472, TYPE = 4, OPTIONS = 5, LENGTH = 14 };

static uint32_t dice_state = 2463534242u;

static uint32_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return dice_state;
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* A header that could be one, of each type, with lengths that fit, but for
 * the checksum. */
static void look_right(uint8_t *packet, size_t size, uint16_t port)
{
    static const uint8_t types[] = {0, 4, 5, 8, 10, 12};

    if (size < 24)
        return;
    packet[2] = (uint8_t)(port >> 8);
    packet[3] = (uint8_t)port;
    packet[TYPE] = types[dice() % sizeof types];
    packet[OPTIONS] &= 3;
    packet[LENGTH] = (uint8_t)((size - 24) >> 8);
    packet[LENGTH + 1] = (uint8_t)(size - 24);
}

static bool send_one(int fd, const struct sockaddr_in *to)
{
    uint8_t packet[ROOM];
    size_t size = dice() % 4 ? dice() % 80 : dice() % sizeof packet;

    for (size_t i = 0; i < size; i++)
        packet[i] = (uint8_t)dice();
    if (dice() % 2)
        look_right(packet, size, ntohs(to->sin_port));
    return sendto(fd, packet, size, 0, (const struct sockaddr *)to,
                  sizeof *to) >= 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct in_addr interface;
    unsigned long sent = 0;
    time_t end;
    int fd;

    if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[3], &interface) != 1)
        return 2;
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface,
                             sizeof interface) < 0) {
        perror("noise");
        return 1;
    }
    for (end = now() + atoi(argv[4]); now() < end; usleep(1000))
        for (int i = 0; i < 5; i++)
            sent += send_one(fd, &to);
    printf("%lu datagrams of noise\n", sent);
    close(fd);
    return sent == 0;
}
