/* Writes arrays of float32 as JSON lists: with the fewest digits that read back to the same float32, and of these the
   nearest to it, laid out as orjson does, so that a number looks the same in a small answer and in a large one.

   What can be decided in float64 is decided there.  Where its rounding might decide, or a power of two has one neighbour
   nearer than the other, the digits are those of Schubfach (Giulietti 2020, "The Schubfach way to render doubles"): one
   multiplication by a power of ten, exact to the last bit that matters. */

#include "exports.h"
#include "powers.h"

#include <math.h>
#include <stdbool.h>

/* Beyond −6 < point ≤ 13 a number is written with an exponent. */
#define MIN_POINT (-6)
#define MAX_POINT 13

/* Products of two float64 below 2^28 have an error of a fraction of this. */
#define UNSURE 1e-6

/* For each exponent of a float32: the factor that leaves at most nine digits before the point, half the distance of two
   neighbours after it, and the exponent of ten that it removes. */
struct scale {
  double factor, half;
  int exponent;
};

static const struct scale SCALES[] = {
#include "scales.inc"
};

struct decimal {
  uint64_t digits;
  int exponent;
};

/* Everything above the lowest 64 bits of a product; the last bit is 1 if the remainder is more than 1 (round to odd):
   of 96 remaining bits the lower 32 are ignored. */
static inline uint64_t upper(uint128 product) { return (uint64_t)(product >> 64) | ((uint32_t)(product >> 32) > 1); }

/* The shortest decimal, exactly. */
static struct decimal exact_decimal(uint32_t fraction, int biased) {
  uint32_t significand = biased ? fraction | UINT32_C(1) << 23 : fraction;
  int exponent = (biased ? biased : 1) - 150;
  bool nearer_below = fraction == 0 && biased > 1, odd = significand & 1;
  /* ⌊log10 2^exponent⌋, and for a power of two ⌊log10 (¾ · 2^exponent)⌋ */
  int decimal = (exponent * 1262611 - (nearer_below ? 524031 : 0)) >> 22;
  /* ⌊log2 10^−decimal⌋ */
  int shift = exponent + ((-decimal * 1741647) >> 19) + 1;
  struct power power = POWERS[-decimal - (MIN_POWER)];
  uint64_t above = power.high + (power.low != 0);
  /* Quarters of a unit of the last digit: the number, and what lies in the middle between it and its neighbours. */
  uint64_t four = (uint64_t)significand * 4;
  uint64_t low = upper((uint128)above * ((four - 2 + nearer_below) << shift)) + odd;
  uint64_t number = upper((uint128)above * (four << shift));
  uint64_t high = upper((uint128)above * ((four + 2) << shift)) - odd;
  uint64_t ones = number / 4, tens = ones / 10;
  if (tens) {
    bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
    if (down != up)
      return (struct decimal){tens + up, decimal + 1};
  }
  bool down = low <= 4 * ones, up = 4 * ones + 4 <= high;
  bool nearer_above = number + (ones & 1) > 4 * ones + 2;
  return (struct decimal){ones + (down != up ? up : nearer_above), decimal};
}

/* To the nearest integer, below 2^51. */
static inline double rounded(double number) {
  const double shift = 0x1.8p52;
  return (number + shift) - shift;
}

/* The shortest decimal of a positive float32. */
static inline struct decimal shortest(float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  int biased = bits >> 23;
  uint32_t fraction = bits & ((UINT32_C(1) << 23) - 1);
  if (UNLIKELY(fraction == 0))
    return exact_decimal(fraction, biased);
  const struct scale *scale = &SCALES[biased];
  double scaled = number * scale->factor, ones = rounded(scaled), tens = rounded(scaled * 0.1);
  double away = fabs(tens * 10 - scaled);
  if (UNLIKELY(fabs(away - scale->half) <= UNSURE || fabs(fabs(ones - scaled) - 0.5) <= UNSURE))
    return exact_decimal(fraction, biased);
  /* Without a branch, which the processor could not predict. */
  uint64_t shorter = away < scale->half, one = (uint64_t)(int64_t)ones, ten = (uint64_t)(int64_t)tens;
  return (struct decimal){one ^ ((one ^ ten) & (0 - shorter)), scale->exponent + (int)shorter};
}

static const uint64_t ZEROS = 0x3030303030303030;

/* Eight digits, a byte each, the first of them lowest. */
static inline uint64_t eight_digits(uint32_t number) {
  /* Two halves of 4, quarters of 2, then single digits, each by a product that divides all of them at once. */
  uint64_t digits = number / 10000 | (uint64_t)(number % 10000) << 32;
  uint64_t upper = (digits * 10486 >> 20) & 0x0000007F0000007F;
  digits = upper | (digits - upper * 100) << 16;
  upper = (digits * 103 >> 10) & 0x000F000F000F000F;
  return upper | (digits - upper * 10) << 8;
}

static char *write_word(char *to, const char *word) {
  size_t length = strlen(word);
  memcpy(to, word, length);
  return to + length;
}

/* Writes d.ddde±x or ddd000.0: nine digits, of which `count` are not trailing zeros, with the point behind the first
   `point`.  Such numbers are rare. */
static char *write_far(char *to, uint64_t digits, int count, int point) {
  char all[9] = {(char)('0' + digits / 100000000)};
  store_word(all + 1, eight_digits((uint32_t)(digits % 100000000)) | ZEROS);
  if (point > 0 && point <= MAX_POINT) {
    memcpy(to, all, 9);
    memset(to + 9, '0', (size_t)(point - 9));
    return write_word(to + point, ".0");
  }
  *to++ = all[0];
  if (count > 1) {
    *to++ = '.';
    memcpy(to, all + 1, 8);
    to += count - 1;
  }
  int exponent = point - 1, size = exponent < 0 ? -exponent : exponent;
  *to++ = 'e';
  *to++ = exponent < 0 ? '-' : '+';
  if (size >= 10)
    *to++ = (char)('0' + size / 10);
  *to++ = (char)('0' + size % 10);
  return to;
}

/* Writes a number; up to 24 characters, and over as many behind them. */
static inline char *write_number(char *to, float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  if (UNLIKELY((bits >> 23 & 0xFF) == 0xFF))
    return write_word(to, isnan(number) ? "\"NaN\"" : number < 0 ? "null" : "\"Infinity\"");
  *to = '-';
  to += bits >> 31;
  if (UNLIKELY(bits << 1 == 0))
    return write_word(to, "0.0");
  struct decimal decimal = shortest(fabsf(number));
  /* 0.d₁d₂d₃… · 10^point, of nine digits. */
  int length = 6 + (decimal.digits >= 1000000) + (decimal.digits >= 10000000) + (decimal.digits >= 100000000);
  if (UNLIKELY(decimal.digits < 100000))
    for (length = 1; decimal.digits >= SMALL_POWERS[length]; length++)
      ;
  int point = length + decimal.exponent;
  uint64_t digits = decimal.digits * SMALL_POWERS[9 - length];
  uint64_t rest = eight_digits((uint32_t)(digits % 100000000));
  int count = rest ? 9 - (__builtin_clzll(rest) >> 3) : 1;
  if (UNLIKELY(point <= MIN_POINT || point > 8))
    return write_far(to, digits, count, point);
  rest |= ZEROS;
  /* Numbers below and above one without a branch, which `below_one`, all bits or none, decides. */
  int below_one = (point - 1) >> 31;
  memcpy(to, "0.000000", 8);
  to += (2 - point) & below_one;
  *to++ = (char)('0' + digits / 100000000);
  store_word(to, rest);
  /* The point and the digits behind it, or bytes behind the end. */
  int behind = ((point - 1) & ~below_one) | (8 & below_one);
  to[behind] = '.';
  store_word(to + behind + 1, rest >> (8 * (behind & 7)));
  return to + (count > point ? count : point + 1) + below_one;
}

/* Writes the numbers of an array as nested lists and returns how many characters they are.

   No axis is empty and there are at most MAX_AXES.  `to` has the room that `exports.h` says. */
int64_t attention_write_numbers(const float *numbers, const int64_t *shape, int64_t rank, char *to) {
  char *start = to;
  int64_t rows = 1, columns = shape[rank - 1], row_of[MAX_AXES] = {0};
  for (int64_t axis = 0; axis < rank - 1; axis++)
    rows *= shape[axis];
  for (int64_t axis = 0; axis < rank - 1; axis++)
    *to++ = '[';
  for (int64_t row = 0;;) {
    *to++ = '[';
    for (int64_t column = 0; column < columns; column++, *to++ = ',')
      to = write_number(to, *numbers++);
    to[-1] = ']';
    /* The lists that end with this row, and as many that begin with the next. */
    int64_t ended = 0;
    for (int64_t axis = rank - 2; axis >= 0 && ++row_of[axis] == shape[axis]; axis--) {
      row_of[axis] = 0;
      *to++ = ']';
      ended++;
    }
    if (++row == rows)
      return to - start;
    *to++ = ',';
    while (ended--)
      *to++ = '[';
  }
}
