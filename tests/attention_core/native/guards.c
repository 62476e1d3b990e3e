/* An allocator for the data of NumPy's arrays: each ends at a page without access. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)

/* Before the data there is a page with their size. */
static void *guarded(size_t size) {
    const size_t room = (size + PAGE - 1) / PAGE * PAGE;
    char *start = mmap(0, room + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + PAGE + room, PAGE, PROT_NONE)) return 0;
    *(size_t *)start = size;
    return start + PAGE + room - size;
}

static char *start_of(void *data) { return (char *)((uintptr_t)data / PAGE * PAGE - PAGE); }

static void *allocate(void *context, size_t size) {
    (void)context;
    return guarded(size ? size : 1);
}

static void *allocate_zeros(void *context, size_t count, size_t size) { return allocate(context, count * size); }

static void release(void *context, void *data, size_t size) {
    (void)context, (void)size;
    if (!data) return;
    char *start = start_of(data);
    munmap(start, (*(size_t *)start + PAGE - 1) / PAGE * PAGE + 2 * PAGE);
}

static void *reallocate(void *context, void *data, size_t size) {
    void *moved = allocate(context, size);
    if (data && moved) {
        const size_t before = *(size_t *)start_of(data);
        memcpy(moved, data, before < size ? before : size);
        release(context, data, before);
    }
    return moved;
}

/* `PyDataMem_Handler` of NumPy's ndarraytypes.h. */
__attribute__((visibility("default"))) struct {
    char name[127];
    uint8_t version;
    void *context;
    void *(*allocate)(void *, size_t);
    void *(*allocate_zeros)(void *, size_t, size_t);
    void *(*reallocate)(void *, void *, size_t);
    void (*release)(void *, void *, size_t);
} guarded_handler = {"guarded", 1, 0, allocate, allocate_zeros, reallocate, release};
