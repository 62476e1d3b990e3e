/* A libFuzzer harness of the compiled reader and writer of JSON numbers.

   Every input is read as a JSON text, and its bytes are written as float32.  The numbers read are compared with the grammar
   of JSON and `strtod`, the numbers written with `strtof`; the memory of each call has exactly the size that `exports.h`
   asks for, so that AddressSanitizer sees the first byte beside it. */

#include "exports.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS_PER_CALL = 2, MAX_FLOATS = 60, MAX_SIGNIFICANT_DIGITS = 9 };

#define REQUIRE(condition)                                                                                             \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);                                         \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

static void *allocate(size_t size) {
  void *memory = malloc(size ? size : 1);
  REQUIRE(memory != NULL);
  return memory;
}

static bool is_space(char character) { return character != 0 && strchr(" \n\t\r", character) != NULL; }

static const char *skip_space(const char *at) {
  while (is_space(*at))
    at++;
  return at;
}

static const char *skip_digits(const char *at) {
  while (*at >= '0' && *at <= '9')
    at++;
  return at;
}

/* Returns the end of the number that RFC 8259 allows here, or NULL; `integer` is whether it has neither point nor
   exponent. */
static const char *number_end(const char *at, bool *integer) {
  at += *at == '-';
  const char *digits = at;
  at = skip_digits(at);
  if (at == digits || (*digits == '0' && at > digits + 1))
    return NULL;
  *integer = true;
  if (*at == '.') {
    digits = ++at;
    at = skip_digits(at);
    *integer = false;
    if (at == digits)
      return NULL;
  }
  if (*at == 'e' || *at == 'E') {
    at++;
    at += *at == '-' || *at == '+';
    digits = at;
    at = skip_digits(at);
    *integer = false;
    if (at == digits)
      return NULL;
  }
  return at;
}

static bool starts_with(const char *at, const char *word) { return strncmp(at, word, strlen(word)) == 0; }

static bool same_bits(double left, double right) { return memcmp(&left, &right, sizeof left) == 0; }

/* Elements in the order of the text. */
struct elements {
  const struct array *array;
  const union slot *slots;
  int64_t next;
};

static const char *check_boolean(const char *at, bool element) {
  REQUIRE(starts_with(at, element ? "true" : "false"));
  return at + (element ? 4 : 5);
}

/* Holds one element against its spelling; returns where that ends. */
static const char *check_element(struct elements *elements, const char *at) {
  int64_t kind = elements->array->kind, index = elements->next++;
  REQUIRE(index < elements->array->count);
  if (kind == BOOLEANS)
    return check_boolean(at, ((const uint8_t *)elements->slots)[index]);
  union slot slot = elements->slots[index];
  if (kind == EXTENDED && starts_with(at, "null")) {
    REQUIRE(slot.number == -INFINITY);
    return at + 4;
  }
  if (kind == EXTENDED && starts_with(at, "\"NaN\"")) {
    REQUIRE(isnan(slot.number));
    return at + 5;
  }
  if (kind == EXTENDED && starts_with(at, "\"Infinity\"")) {
    REQUIRE(slot.number == INFINITY);
    return at + 10;
  }
  bool integer = false;
  const char *end = number_end(at, &integer);
  REQUIRE(end != NULL);
  if (kind == INTEGERS) {
    errno = 0;
    REQUIRE(integer && strtoll(at, NULL, 10) == slot.integer && errno == 0);
  } else {
    double expected = strtod(at, NULL);
    /* An integer has no negative zero. */
    REQUIRE(isfinite(slot.number) && (same_bits(slot.number, expected) || (integer && slot.number == expected)));
  }
  return end;
}

/* Holds the lists from one axis on against the shape; returns where they end. */
static const char *check_lists(struct elements *elements, const char *at, int64_t axis) {
  if (axis == elements->array->rank)
    return check_element(elements, at);
  for (int64_t item = 0; item < elements->array->shape[axis]; item++) {
    REQUIRE(*at == (item ? ',' : '['));
    at = skip_space(check_lists(elements, skip_space(at + 1), axis + 1));
  }
  REQUIRE(*at == ']');
  return at + 1;
}

static void check_array(const char *text, int64_t size, const struct array *array, const union slot *slots) {
  REQUIRE(0 < array->start && array->start < array->end && array->end <= size);
  const char *before = text + array->start - 1;
  while (is_space(*before))
    before--;
  REQUIRE(*before == ':');
  REQUIRE(array->kind >= INTEGERS && array->kind <= BOOLEANS);
  REQUIRE(array->rank >= 1 && array->rank <= MAX_AXES);
  int64_t count = 1;
  for (int64_t axis = 0; axis < array->rank; axis++) {
    REQUIRE(array->shape[axis] >= 1 && array->shape[axis] <= size);
    count *= array->shape[axis];
  }
  REQUIRE(count == array->count);
  struct elements elements = {array, slots + array->first, 0};
  REQUIRE(check_lists(&elements, text + array->start, 0) == text + array->end);
  REQUIRE(elements.next == count);
}

/* Reads a text in batches; returns how many arrays there were, of which the last is copied to `last`. */
static int64_t check_reader(const char *text, int64_t size, int64_t min_bytes, struct array *last, union slot *slots) {
  struct array *arrays = allocate(ARRAYS_PER_CALL * sizeof *arrays);
  struct progress progress = {0};
  int64_t found, total = 0, end = 0, used = 0;
  do {
    found = attention_read_arrays(text, size, min_bytes, slots, &progress, arrays, ARRAYS_PER_CALL);
    REQUIRE(found >= 0 && found <= ARRAYS_PER_CALL);
    for (int64_t i = 0; i < found; i++) {
      REQUIRE(arrays[i].start > end && arrays[i].end - arrays[i].start >= min_bytes && arrays[i].first == used);
      check_array(text, size, &arrays[i], slots);
      end = arrays[i].end;
      used += arrays[i].kind == BOOLEANS ? (arrays[i].count + 7) / 8 : arrays[i].count;
      *last = arrays[i];
    }
    total += found;
    REQUIRE(progress.at >= end && progress.at <= size && progress.slots_used == used && used <= size / 2 + 1);
  } while (found == ARRAYS_PER_CALL);
  REQUIRE(progress.at == size);
  if (progress.refused_elements) {
    REQUIRE(text[progress.refused_start] == '[');
    REQUIRE(progress.refused_start < progress.refused_at && progress.refused_at <= size);
  }
  free(arrays);
  return total;
}

static void check_structure(const char *text, int64_t size) {
  struct structure counted, expected = {0};
  attention_count_structure(text, 0, size, &counted);
  bool inside = false, behind_string = false;
  for (int64_t i = 0; i < size; i++) {
    if (inside) {
      if (text[i] == '\\')
        i++;
      else if (text[i] == '"')
        inside = false;
      behind_string = !inside;
      continue;
    }
    expected.commas += text[i] == ',';
    expected.names += text[i] == ':' && behind_string;
    expected.openings += text[i] == '[' || text[i] == '{';
    inside = text[i] == '"';
    behind_string = behind_string && is_space(text[i]);
  }
  REQUIRE(memcmp(&counted, &expected, sizeof counted) == 0);
}

/* Requires at most nine digits between the first and the last that is not zero. */
static void check_digits(const char *at, const char *end) {
  int digits = 0, significant = 0;
  for (; at < end && *at != 'e'; at++) {
    digits += *at >= '0' && *at <= '9' && (digits || *at != '0');
    if (*at >= '1' && *at <= '9')
      significant = digits;
  }
  REQUIRE(significant <= MAX_SIGNIFICANT_DIGITS);
}

/* Reads written numbers back, each as the float32 that it was. */
static void check_written(const char *text, const float *numbers, int64_t count) {
  const char *at = text;
  for (int64_t i = 0; i < count; i++) {
    while (*at == '[' || *at == ']' || *at == ',')
      at++;
    bool integer;
    if (isfinite(numbers[i])) {
      const char *end = number_end(at, &integer);
      float back = strtof(at, NULL);
      REQUIRE(end != NULL && !integer && memcmp(&back, &numbers[i], sizeof back) == 0);
      check_digits(at, end);
      at = end;
    } else {
      const char *word = isnan(numbers[i]) ? "\"NaN\"" : numbers[i] < 0 ? "null" : "\"Infinity\"";
      REQUIRE(starts_with(at, word));
      at += strlen(word);
    }
  }
}

/* Writes numbers in a shape, and reads the text with the reader. */
static void check_writer(const float *numbers, int64_t count, const int64_t *shape, int64_t rank) {
  static const char BEFORE[] = "{\"a\":";
  int64_t lists = 0, rows = 1, length = (int64_t)strlen(BEFORE);
  for (int64_t axis = 0; axis < rank; axis++) {
    lists += rows;
    rows *= shape[axis];
  }
  REQUIRE(rows == count);
  size_t room = (size_t)(BYTES_PER_NUMBER * count + BYTES_PER_LIST * lists + BYTES_BEHIND);
  char *written = allocate(room);
  int64_t size = attention_write_numbers(numbers, shape, rank, written);
  REQUIRE(size > 0 && size <= (int64_t)room);
  char *text = allocate((size_t)(length + size + 2));
  memcpy(text, BEFORE, (size_t)length);
  memcpy(text + length, written, (size_t)size);
  memcpy(text + length + size, "}", 2);
  check_written(text + length, numbers, count);
  struct array array;
  union slot *slots = allocate((size_t)((length + size + 1) / 2 + 1) * sizeof *slots);
  REQUIRE(check_reader(text, length + size + 1, 1, &array, slots) == 1);
  REQUIRE(array.rank == rank && memcmp(array.shape, shape, (size_t)rank * sizeof *shape) == 0);
  REQUIRE(array.start == length && array.end == length + size);
  free(slots);
  free(text);
  free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = allocate(size + 1);
  memcpy(text, data, size);
  text[size] = 0;
  struct array last;
  union slot *slots = allocate((size / 2 + 1) * sizeof *slots);
  check_reader(text, (int64_t)size, size % 4 ? 1 : 64, &last, slots);
  free(slots);
  check_structure(text, (int64_t)size);
  free(text);

  int64_t count = (int64_t)(size / sizeof(float));
  if (count == 0)
    return 0;
  if (count > MAX_FLOATS)
    count = MAX_FLOATS;
  float *numbers = allocate((size_t)count * sizeof *numbers);
  memcpy(numbers, data, (size_t)count * sizeof *numbers);
  int64_t columns = 1 + (int64_t)(data[size - 1] % 7);
  while (count % columns)
    columns--;
  int64_t shapes[][MAX_AXES] = {{count}, {count / columns, columns}, {1, columns, count / columns}, {count, 1, 1, 1}};
  static const int64_t RANKS[] = {1, 2, 3, 4};
  size_t chosen = data[0] % (sizeof RANKS / sizeof *RANKS);
  check_writer(numbers, count, shapes[chosen], RANKS[chosen]);
  free(numbers);
  return 0;
}
