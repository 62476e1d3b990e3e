/* Reads the number arrays of a JSON document where they stand.

   An array is taken only if it is one that `as_array` takes, and then it has the same shape, type and values; at
   anything else it is left to the ordinary parser, which finds out what is wrong. */

#include "number.h"

/* Tensors have fewer dimensions; an array with more is left to the ordinary parser. */
#define MOST_DIMENSIONS 8

enum kind { NOTHING, INTEGERS, NUMBERS, EXTENDED, BOOLEANS };

struct array {
  int64_t start, end; /* where it stands in the text */
  int64_t first, count; /* where its elements stand among all, in slots of eight bytes, and how many they are */
  int64_t kind, rank, shape[MOST_DIMENSIONS];
};

struct reader {
  const char *begin, *end; /* the text; a zero character follows it */
  union slot *slots; /* the elements of one array; booleans take a byte each */
  int64_t count;
  enum kind kind;
};

static inline const char *after_space(const char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
    at++;
  return at;
}

/* What was read as integers becomes numbers, as soon as one is none. */
static void integers_to_numbers(struct reader *reader) {
  for (int64_t i = 0; i < reader->count; i++)
    reader->slots[i].number = (double)reader->slots[i].integer;
}

static inline const char *word(const char *at, const char *spelling) {
  size_t length = strlen(spelling);
  return strncmp(at, spelling, length) ? NULL : at + length;
}

/* Reads true or false. */
static const char *read_boolean(struct reader *reader, const char *at) {
  if (reader->kind != NOTHING && reader->kind != BOOLEANS)
    return NULL;
  reader->kind = BOOLEANS;
  bool yes = *at == 't';
  ((uint8_t *)reader->slots)[reader->count] = yes;
  return word(at, yes ? "true" : "false");
}

/* Reads what stands for −∞, NaN and +∞. */
static const char *read_not_finite(struct reader *reader, const char *at) {
  if (reader->kind == BOOLEANS)
    return NULL;
  if (reader->kind == INTEGERS)
    integers_to_numbers(reader);
  reader->kind = EXTENDED;
  double *number = &reader->slots[reader->count].number;
  const char *end = NULL;
  if ((end = word(at, "null")))
    *number = -INFINITY;
  else if ((end = word(at, "\"NaN\"")))
    *number = NAN;
  else if ((end = word(at, "\"Infinity\"")))
    *number = INFINITY;
  return end;
}

/* Reads an element; returns its end, or NULL if it is none, or none that may stand beside those before it. */
static inline const char *read_element(struct reader *reader, const char *at) {
  if (UNLIKELY(*at == 't' || *at == 'f'))
    return read_boolean(reader, at);
  if (UNLIKELY(*at == 'n' || *at == '"'))
    return read_not_finite(reader, at);
  union slot *slot = &reader->slots[reader->count];
  bool integer = false;
  const char *end = read_number(at, reader->end, slot, &integer);
  if (UNLIKELY(end == NULL || reader->kind == BOOLEANS))
    return NULL;
  if (integer) {
    if (reader->kind == NOTHING)
      reader->kind = INTEGERS;
    else if (reader->kind != INTEGERS)
      slot->number = (double)slot->integer;
  } else if (UNLIKELY(reader->kind < NUMBERS)) {
    integers_to_numbers(reader);
    reader->kind = NUMBERS;
  }
  return end;
}

/* Reads the array that starts here; returns its end, or NULL if it is ragged, empty anywhere, or no array. */
static const char *read_array(struct reader *reader, const char *start, struct array *array) {
  int64_t lengths[MOST_DIMENSIONS];
  int rank = 0;
  const char *at = start;
  for (; *at == '['; at = after_space(at + 1)) {
    if (rank == MOST_DIMENSIONS)
      return NULL;
    array->shape[rank] = -1;
    lengths[rank++] = 0;
  }
  for (;;) {
#ifdef __AVX2__
    if (reader->kind == NUMBERS) {
      double *first = &reader->slots[reader->count].number, *behind = first;
      at = after_space(read_run(reader->begin, at, reader->end, &behind));
      reader->count += behind - first;
      lengths[rank - 1] += behind - first;
    }
#endif
    at = read_element(reader, at);
    if (UNLIKELY(at == NULL))
      return NULL;
    reader->count++;
    lengths[rank - 1]++;
    at = after_space(at);
    if (LIKELY(*at == ',')) {
      at = after_space(at + 1);
      continue;
    }
    int axis = rank - 1;
    for (; *at == ']'; at = after_space(at + 1)) {
      if (array->shape[axis] < 0)
        array->shape[axis] = lengths[axis];
      if (array->shape[axis] != lengths[axis])
        return NULL;
      if (axis == 0) {
        array->rank = rank;
        return at + 1;
      }
      lengths[axis--] = 0;
      lengths[axis]++;
    }
    if (axis == rank - 1 || *at != ',')
      return NULL;
    at = after_space(at + 1);
    for (; axis < rank - 1; axis++) {
      if (*at != '[')
        return NULL;
      at = after_space(at + 1);
    }
  }
}

/* The end of the string that starts here, or of the text. */
static const char *string_end(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '"')
      return at + 1;
    at += *at == '\\';
  }
  return end;
}

/* Finds the number arrays that are values of members and take `shortest` bytes or more, at most `most` of them.

   `text` is followed by a zero character; `slots` has room for half as many as the text has bytes, and one more.
   Returns how many were found. */
EXPORT int64_t attention_read_arrays(const char *text, int64_t size, int64_t shortest, union slot *slots,
                                     struct array *arrays, int64_t most) {
  struct reader reader = {.begin = text, .end = text + size, .slots = slots};
  int64_t found = 0;
  const char *at = text;
  while (at < reader.end && found < most) {
    if (*at == '"') {
      at = string_end(at, reader.end);
      continue;
    }
    if (*at++ != ':')
      continue;
    const char *start = after_space(at);
    if (*start != '[')
      continue;
    struct array *array = &arrays[found];
    reader.count = 0;
    reader.kind = NOTHING;
    const char *end = read_array(&reader, start, array);
    if (end == NULL) {
      /* Nothing before its next colon can be another. */
      at = start + 1;
      continue;
    }
    at = end;
    if (end - start < shortest)
      continue;
    array->start = start - text;
    array->end = end - text;
    array->first = reader.slots - slots;
    array->count = reader.count;
    array->kind = reader.kind;
    reader.slots += reader.kind == BOOLEANS ? (reader.count + 7) / 8 : reader.count;
    found++;
  }
  return found;
}

/* How often a character comes. */
EXPORT int64_t attention_count(const char *text, int64_t size, char character) {
  enum { LANES = 64, MOST_ROWS = 255 };
  int64_t count = 0;
  while (size >= LANES) {
    /* A byte for each lane, which counts so far before it must be emptied. */
    uint8_t lanes[LANES] = {0};
    int64_t rows = size / LANES < MOST_ROWS ? size / LANES : MOST_ROWS;
    for (int64_t row = 0; row < rows; row++, text += LANES)
      for (int lane = 0; lane < LANES; lane++)
        lanes[lane] += text[lane] == character;
    for (int lane = 0; lane < LANES; lane++)
      count += lanes[lane];
    size -= rows * LANES;
  }
  while (size--)
    count += *text++ == character;
  return count;
}

/* Whether this processor can run what is compiled for wider instructions. */
EXPORT int attention_runs_wide(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("x86-64-v3");
#else
  return 0;
#endif
}
