/* Reads the number arrays of a JSON document where they stand.

   An array is taken only if it is one that `as_array` takes, and then it has the same shape, type and values; anything
   else is left to the ordinary parser, which reports the fault. */

#include "number.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct reader {
  const char *begin, *end; /* the text; a zero character follows it */
  const char *stopped;     /* the first character that fits no array, where one was refused */
  union slot *slots;       /* the elements of one array; booleans take a byte each */
  int64_t count;
  enum kind kind;
};

static inline bool is_space(char character) {
  return character == ' ' || character == '\n' || character == '\t' || character == '\r';
}

static inline const char *after_space(const char *at) {
  while (is_space(*at))
    at++;
  return at;
}

/* Converts the integers read so far to doubles, when the first number with a fraction is found. */
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

/* Refuses an array because of the character that stands here. */
static const char *refuse(struct reader *reader, const char *at) {
  reader->stopped = at;
  return NULL;
}

/* Reads the array that starts here; returns its end, or NULL if it is ragged, empty anywhere, or no array. */
static const char *read_array(struct reader *reader, const char *start, struct array *array) {
  int64_t lengths[MAX_AXES];
  int rank = 0;
  const char *at = start;
  for (; *at == '['; at = after_space(at + 1)) {
    if (rank == MAX_AXES)
      return refuse(reader, at);
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
    const char *behind_element = read_element(reader, at);
    if (UNLIKELY(behind_element == NULL))
      return refuse(reader, at);
    reader->count++;
    lengths[rank - 1]++;
    at = after_space(behind_element);
    if (LIKELY(*at == ',')) {
      at = after_space(at + 1);
      continue;
    }
    int axis = rank - 1;
    for (; *at == ']'; at = after_space(at + 1)) {
      if (array->shape[axis] < 0)
        array->shape[axis] = lengths[axis];
      if (array->shape[axis] != lengths[axis])
        return refuse(reader, at);
      if (axis == 0) {
        array->rank = rank;
        return at + 1;
      }
      lengths[axis--] = 0;
      lengths[axis]++;
    }
    if (axis == rank - 1 || *at != ',')
      return refuse(reader, at);
    at = after_space(at + 1);
    for (; axis < rank - 1; axis++) {
      if (*at != '[')
        return refuse(reader, at);
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

/* Remembers the refused array with the most elements: it is the one that costs the ordinary parser most. */
static void note_refused(struct progress *progress, const struct reader *reader, const char *start) {
  if (reader->count <= progress->refused_elements)
    return;
  progress->refused_start = start - reader->begin;
  progress->refused_at = reader->stopped - reader->begin;
  progress->refused_elements = reader->count;
}

/* Finds the next number arrays that are values of members and take `min_bytes` or more; returns how many.

   `text` is followed by a zero character; `slots` has room for half as many elements as the text has bytes, and one
   more, for all calls together.  Fewer than `max_arrays` are returned only once the text has ended. */
int64_t attention_read_arrays(const char *text, int64_t size, int64_t min_bytes, union slot *slots,
                              struct progress *progress, struct array *arrays, int64_t max_arrays) {
  struct reader reader = {.begin = text, .end = text + size, .slots = slots + progress->slots_used};
  int64_t found = 0;
  const char *at = text + progress->at;
  while (at < reader.end && found < max_arrays) {
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
      note_refused(progress, &reader, start);
      /* Nothing before its next colon can be another. */
      at = start + 1;
      continue;
    }
    at = end;
    if (end - start < min_bytes)
      continue;
    array->start = start - text;
    array->end = end - text;
    array->first = reader.slots - slots;
    array->count = reader.count;
    array->kind = reader.kind;
    reader.slots += reader.kind == BOOLEANS ? (reader.count + 7) / 8 : reader.count;
    found++;
  }
  progress->at = at - text;
  progress->slots_used = reader.slots - slots;
  return found;
}

static inline bool is_opening(char character) { return (character | 0x20) == '{'; }

/* Counts in text without strings. */
static void count_plain(const char *at, const char *end, struct structure *structure) {
  enum { LANES = 64, MAX_ROWS = 255 };
  while (end - at >= LANES) {
    /* A byte for each lane, which holds 255 before it has to be added up. */
    uint8_t commas[LANES] = {0}, openings[LANES] = {0};
    for (int row = 0; row < MAX_ROWS && end - at >= LANES; row++, at += LANES)
      for (int lane = 0; lane < LANES; lane++) {
        commas[lane] += at[lane] == ',';
        openings[lane] += is_opening(at[lane]);
      }
    for (int lane = 0; lane < LANES; lane++) {
      structure->commas += commas[lane];
      structure->openings += openings[lane];
    }
  }
  for (; at < end; at++) {
    structure->commas += *at == ',';
    structure->openings += is_opening(*at);
  }
}

/* Counts what separates and opens values from one byte up to another; strings are skipped, whatever is in them. */
void attention_count_structure(const char *text, int64_t begin, int64_t finish, struct structure *structure) {
  const char *at = text + begin, *end = text + finish;
  *structure = (struct structure){0};
  while (at < end) {
    const char *quote = memchr(at, '"', (size_t)(end - at));
    count_plain(at, quote ? quote : end, structure);
    if (quote == NULL)
      return;
    for (at = string_end(quote, end); at < end && is_space(*at); at++)
      ;
    structure->names += at < end && *at == ':';
  }
}

#if defined(__x86_64__)

static bool has_lzcnt(void) {
  unsigned eax, ebx, ecx = 0, edx;
  return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx >> 5 & 1);
}

/* Whether this processor has the instructions that the wide library is compiled for. */
int attention_runs_wide(void) {
  __builtin_cpu_init();
  return has_lzcnt() &&
#include "wide.inc"
      ;
}

#else

int attention_runs_wide(void) { return 0; }

#endif
