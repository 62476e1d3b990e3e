/* Reads one number of JSON, or many alike, each as the double nearest to it.

   A number of up to 19 digits is an integer and a power of ten, and the double nearest to it comes from one or two
   multiplications (Clinger 1990, "How to read floating point numbers accurately"; Lemire 2021, "Number parsing at a
   gigabyte per second", with the proof of Mushtak and Lemire 2023 that needs no second try).  Longer numbers, and those
   near the ends of the range, go to `strtod`. */

#ifndef ATTENTION_NUMBER_H
#define ATTENTION_NUMBER_H

#define _GNU_SOURCE /* strtod_l */

#include "exports.h"
#include "powers.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#ifdef __AVX2__
#include <immintrin.h>
#endif

static inline bool is_digit(char character) { return (unsigned char)(character - '0') <= 9; }

/* Powers of ten that are doubles. */
static const double EXACT_POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The double nearest to significand · 10^exponent, or false where that is not normal. */
static inline bool nearest(uint64_t significand, int64_t exponent, double *number) {
  if (significand == 0) {
    *number = 0;
    return true;
  }
  if (UNLIKELY(exponent < MIN_POWER || exponent > MAX_POWER))
    return false;
  int zeros = __builtin_clzll(significand);
  significand <<= zeros;
  const struct power *power = &POWERS[exponent - (MIN_POWER)];
  uint128 product = (uint128)significand * power->high;
  uint64_t high = product >> 64, low = (uint64_t)product;
  if (UNLIKELY((high & 0x1FF) == 0x1FF)) {
    uint64_t more = (uint128)significand * power->low >> 64;
    low += more;
    high += low < more;
  }
  int top = high >> 63, shift = top + 9;
  uint64_t mantissa = high >> shift;
  /* ⌊log2 10^exponent⌋ */
  int binary = (int)((217706 * exponent) >> 16) + top - zeros + 63 + 1023;
  if (UNLIKELY(binary <= 0))
    return false;
  /* Exactly between two doubles, which only small powers can be: to the even one. */
  if (UNLIKELY(low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << shift == high))
    mantissa &= ~UINT64_C(1);
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  /* A mantissa that rounds up to the next power of two carries into the exponent. */
  uint64_t bits = mantissa + ((uint64_t)(binary - 1) << 52);
  if (UNLIKELY(bits >= UINT64_C(0x7FF) << 52))
    return false;
  memcpy(number, &bits, sizeof *number);
  return true;
}

/* Reads what `strtod` reads, with a point whatever the locale. */
static double read_slowly(const char *start) {
  static locale_t posix;
  /* Two threads may both make one; one of them is lost. */
  locale_t known = __atomic_load_n(&posix, __ATOMIC_ACQUIRE);
  if (known == 0) {
    known = newlocale(LC_ALL_MASK, "C", 0);
    if (known == 0)
      return NAN;
    __atomic_store_n(&posix, known, __ATOMIC_RELEASE);
  }
  return strtod_l(start, NULL, known);
}

/* Whether all of eight characters are digits: no other has a 3 above, and one that is more than 9 gets a 4 there. */
static inline bool are_digits(uint64_t word) {
  const uint64_t above = 0xF0F0F0F0F0F0F0F0;
  return ((word & above) | (((word + 0x0606060606060606) & above) >> 4)) == 0x3333333333333333;
}

/* The integer that eight digits spell. */
static inline uint64_t eight_digits(uint64_t word) {
  /* Neighbours are put together: digits to pairs, pairs to fours, fours to eight. */
  word ^= 0x3030303030303030;
  word = word * 10 + (word >> 8);
  word = (word & 0x00FF00FF00FF00FF) * 100 + ((word >> 16) & 0x00FF00FF00FF00FF);
  return (word & 0xFFFF) * 10000 + ((word >> 32) & 0xFFFF);
}

/* How many digits there are, leading zeros and the point apart. */
static int64_t significant_digits(const char *at, const char *end) {
  while (at < end && (*at == '0' || *at == '.'))
    at++;
  int64_t digits = 0;
  for (; at < end; at++)
    digits += *at != '.';
  return digits;
}

/* Reads any number; returns its end, or NULL if it is none or beyond float64. */
static inline const char *read_number(const char *start, const char *end, union slot *slot, bool *integer) {
  const char *at = start;
  bool negative = *at == '-';
  const char *first = at += negative;
  if (UNLIKELY(!is_digit(*at)))
    return NULL;
  uint64_t significand = (uint64_t)(*at++ - '0');
  if (significand)
    for (; is_digit(*at); at++)
      significand = significand * 10 + (uint64_t)(*at - '0');
  int64_t digits = at - first, exponent = 0;
  *integer = true;
  if (*at == '.') {
    *integer = false;
    const char *point = at++;
    for (uint64_t word; end - at >= 8 && are_digits(word = load_word(at)); at += 8)
      significand = significand * 100000000 + eight_digits(word);
    for (; is_digit(*at); at++)
      significand = significand * 10 + (uint64_t)(*at - '0');
    if (UNLIKELY(at == point + 1))
      return NULL;
    exponent = point + 1 - at;
    digits -= exponent;
  }
  bool any_length = digits > 19 && significant_digits(first, at) > 19;
  if (UNLIKELY((*at | 0x20) == 'e')) {
    *integer = false;
    at++;
    bool below = *at == '-';
    at += below || *at == '+';
    if (!is_digit(*at))
      return NULL;
    int64_t written = 0;
    for (; is_digit(*at); at++)
      written = written < 1000000 ? written * 10 + (*at - '0') : written;
    /* Where the exponent was too long to be read, or makes up for very many zeros. */
    any_length |= written >= 1000000;
    exponent += below ? -written : written;
  }
  *integer &= !any_length && significand <= (uint64_t)INT64_MAX + negative;
  if (*integer) {
    slot->integer = (int64_t)(negative ? 0 - significand : significand);
    return at;
  }
  double number;
  if (LIKELY(!any_length && exponent <= 0 && exponent >= -22 && significand <= UINT64_C(1) << 53))
    /* Both are doubles, so that their quotient is rounded once. */
    number = (double)(int64_t)significand / EXACT_POWERS[-exponent];
  else if (UNLIKELY(any_length || !nearest(significand, exponent, &number))) {
    number = read_slowly(start);
    slot->number = number;
    return isfinite(number) ? at : NULL;
  }
  slot->number = negative ? -number : number;
  return at;
}

#ifdef __AVX2__

/* A bit for each of the next 32 characters that is no digit. */
static inline uint64_t not_digits(const char *at) {
  __m256i all = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)at), _mm256_set1_epi8('0'));
  return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(all, _mm256_set1_epi8(9)), all));
}

/* The integer that sixteen digits spell. */
static inline uint64_t sixteen_digits(__m128i digits) {
  __m128i pairs = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));
  __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00010064));
  __m128i eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x00012710));
  uint64_t both = (uint64_t)_mm_cvtsi128_si64(eights);
  return (both & 0xFFFFFFFF) * 100000000 + (both >> 32);
}

/* The integer that the last `digits` of at most fifteen characters before `end` spell, without the point before the last
   `places` of them. */
static inline uint64_t without_point(const char *end, int digits, int places) {
  /* Sixteen of one and sixteen of the other: an unaligned load between them selects by place. */
  static const char BACK[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  static const char KEPT[32] = {0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
                                15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15};
  const __m128i places_of_all = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m128i characters = _mm_loadu_si128((const __m128i *)(end - 16));
  __m128i from = _mm_add_epi8(places_of_all, _mm_loadu_si128((const __m128i *)(BACK + places)));
  __m128i kept = _mm_loadu_si128((const __m128i *)(KEPT + digits));
  return sixteen_digits(_mm_and_si128(_mm_shuffle_epi8(characters, from), kept));
}

/* The integer that the first sixteen digits spell, of which one stands before the point. */
static inline uint64_t first_sixteen(const char *first) {
  __m128i characters = _mm_insert_epi8(_mm_loadu_si128((const __m128i *)(first + 1)), *first, 0);
  return sixteen_digits(_mm_and_si128(characters, _mm_set1_epi8(15)));
}

/* The integer that the last `digits` of three characters before `end` spell. */
static inline uint64_t three_before(const char *end, int digits) {
  uint32_t word;
  memcpy(&word, end - 4, sizeof word);
  /* In two steps, since 32 are too many for one. */
  int unwanted = 16 - 4 * digits;
  word = (word & 0x0F0F0F0F) >> unwanted >> unwanted << unwanted << unwanted;
  return (word >> 8 & 0xFF) * 100 + (word >> 16 & 0xFF) * 10 + (word >> 24);
}

/* Reads a number that has a point and no exponent and is followed by a comma, and by a space if `gap` is 2, where `marks`
   has a bit for each character that is no digit; returns how many characters that is, or 0 if it is anything else.  Most
   numbers are like that, and no branch depends on a sign or a number of digits. */
static inline int read_plain(const char *at, uint64_t marks, int gap, double *number) {
  int negative = marks & 1;
  marks &= ~UINT64_C(1);
  int point = (int)_tzcnt_u64(marks), stop = (int)_tzcnt_u64(_blsr_u64(marks));
  int whole = point - negative, places = stop - point - 1, digits = whole + places;
  if (UNLIKELY(at[point] != '.' || at[stop] != ',' || (gap == 2 && at[stop + 1] != ' ')))
    return 0;
  if (UNLIKELY((negative & (*at != '-')) | (whole < 1) | (places < 1) | ((whole > 1) & (at[negative] == '0'))))
    return 0;
  if (LIKELY(digits <= 15)) {
    /* Both are doubles, so that their quotient is rounded once. */
    *number = (double)(int64_t)without_point(at + stop, digits, places) / EXACT_POWERS[places];
  } else {
    if (UNLIKELY(whole != 1 || digits > 19))
      return 0;
    uint64_t significand = first_sixteen(at + negative) * SMALL_POWERS[digits - 16];
    significand += three_before(at + stop, digits - 16);
    if (UNLIKELY(!nearest(significand, -places, number)))
      return 0;
  }
  uint64_t bits;
  memcpy(&bits, number, sizeof bits);
  bits |= (uint64_t)negative << 63;
  memcpy(number, &bits, sizeof bits);
  return stop + gap;
}

/* Reads numbers up to one that `read_plain` does not read; returns where that one begins. */
static inline const char *read_run_spaced(const char *at, const char *end, int gap, double **numbers) {
  double *to = *numbers;
  while (LIKELY(end - at >= 96)) {
    /* Two of them from one look at 64 characters, since where the next begins is known only behind it. */
    uint64_t marks = not_digits(at) | not_digits(at + 32) << 32;
    int first = read_plain(at, marks, gap, to);
    if (UNLIKELY(first == 0))
      break;
    at += first;
    int second = read_plain(at, marks >> first, gap, to + 1);
    at += second;
    to += second ? 2 : 1;
  }
  *numbers = to;
  return at;
}

/* The same, whichever way they are spaced, where `begin` and `end` are those of the text. */
static const char *read_run(const char *begin, const char *at, const char *end, double **numbers) {
  /* Sixteen characters are read up to the end of a number, so they may begin before it. */
  if (at - begin < 16)
    return at;
  /* Twice, so that how far numbers are apart is known when this is compiled. */
  return at[-1] == ' ' ? read_run_spaced(at, end, 2, numbers) : read_run_spaced(at, end, 1, numbers);
}

#endif

#endif
