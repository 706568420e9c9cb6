/* Packets of any content: decoded and assembled without harm, and nothing that
 * comes out is bigger than its header said. */

#include <assert.h>
#include <string.h>

#include "p2p/assembly.h"
#include "p2p/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_TOTAL_MAX ((size_t)1 << 20)

/* The input is a row of packets: two bytes of size, then the packet. The magic
 * and the addresses are put right, so that the rules behind them are reached.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire_filter FILTER = {.self = 0, .n_peers = 2};
    static uint8_t packet[WIRE_PACKET_SIZE];
    struct assembly a;

    assembly_init(&a);
    while (size >= 2) {
        size_t n = (size_t)data[0] << 8 | data[1];
        struct wire_header h;
        struct p2p_msg msg;
        bool whole;
        data += 2;
        size -= 2;
        n = n < size ? n : size;
        memset(packet, 0, sizeof packet);
        memcpy(packet, data, n);
        data += n;
        size -= n;
        if (n >= 1 && (packet[0] & 1) != 0) {
            memcpy(packet, "LYRW\1", 5);
            memset(packet + 8, 0, 20);
            packet[20] = 1;
        }
        if (n >= 2 && (packet[1] & 1) != 0) {
            n = WIRE_PACKET_SIZE;
        }
        if (wire_decode(&h, packet, n, &FILTER) != WIRE_OK ||
            h.total_size > FUZZ_TOTAL_MAX) {
            continue;
        }
        (void)assembly_add(&a, &h, packet + WIRE_HEADER_SIZE, &msg, &whole);
        if (whole) {
            assert((msg.body == NULL ? 0 : msg.body->size) == h.total_size);
            blob_unref(msg.body);
        }
    }
    assembly_fini(&a);
    return 0;
}
