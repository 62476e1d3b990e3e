/* Runs calls of a kernel for another processor: `emulated.py` sends them on the standard input, and reads the memory
 * that they leave from the standard output.
 *
 * A request is four numbers, (0 for float or 1 for double, bytes of memory, pointers, 0), the places of the pointers
 * among the fields of the call, and the memory, which begins with the call; a pointer is an offset into the memory.
 */
#include "kernel.c"

#include <stdio.h>
#include <stdlib.h>

static void take(void *to, size_t size) {
    if (fread(to, 1, size, stdin) != size) exit(2);
}

int main(void) {
    int64_t head[4];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        int64_t *places = malloc(head[2] * sizeof *places);
        char *memory = aligned_alloc(64, (head[1] + 63) / 64 * 64);
        struct call *call = (struct call *)memory;
        take(places, head[2] * sizeof *places);
        take(memory, head[1]);
        for (int64_t i = 0; i < head[2]; i++) ((int64_t *)memory)[places[i]] += (int64_t)(intptr_t)memory;
        const int64_t size = head[0] ? attention_double_scratch(call) : attention_float_scratch(call);
        void *scratch = aligned_alloc(64, (size + 63) / 64 * 64);
        if (head[0]) attention_double(call, scratch);
        else attention_float(call, scratch);
        fwrite(memory, 1, head[1], stdout);
        fflush(stdout);
        free(scratch), free(memory), free(places);
    }
    return 0;
}
