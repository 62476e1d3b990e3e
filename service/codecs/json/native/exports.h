/* What the library shows: to `library.py`, and to the fuzzer in `tests/fuzz/native.c`. */

#ifndef ATTENTION_EXPORTS_H
#define ATTENTION_EXPORTS_H

#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* NumPy's own limit on the axes of an array. */
#define MAX_AXES 64

/* Bytes that `attention_write_numbers` needs for each number, for each list, and behind everything it writes. */
#define BYTES_PER_NUMBER 32
#define BYTES_PER_LIST 2
#define BYTES_BEHIND 32

enum kind { NOTHING, INTEGERS, NUMBERS, EXTENDED, BOOLEANS };

/* One element; booleans take a byte each. */
union slot {
  int64_t integer;
  double number;
};

struct array {
  int64_t start, end;   /* bytes of the text that spell it out: from `start` up to `end` */
  int64_t first, count; /* its elements: the index of the first slot, and their number */
  int64_t kind, rank, shape[MAX_AXES];
};

/* Where reading goes on, and the longest array that was refused. */
struct progress {
  int64_t at, slots_used;                              /* both 0 before the first call */
  int64_t refused_start, refused_at, refused_elements; /* `refused_at` is the byte that fits no array */
};

/* Structural characters of JSON outside its strings. */
struct structure {
  int64_t commas, names, openings; /* `,`, strings before a `:`, and `[` or `{` */
};

EXPORT int64_t attention_read_arrays(const char *text, int64_t size, int64_t min_bytes, union slot *slots,
                                     struct progress *progress, struct array *arrays, int64_t max_arrays);
EXPORT void attention_count_structure(const char *text, int64_t begin, int64_t finish, struct structure *structure);
EXPORT int attention_runs_wide(void);
EXPORT int64_t attention_write_numbers(const float *numbers, const int64_t *shape, int64_t rank, char *to);

#endif
