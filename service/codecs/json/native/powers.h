/* Powers of ten to 128 bits, and what else reading and writing numbers share. */

#ifndef ATTENTION_POWERS_H
#define ATTENTION_POWERS_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "eight characters are read and written as one little-endian integer"
#endif

/* An extension of the compilers that have it, and none of ISO C. */
__extension__ typedef unsigned __int128 uint128;

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

struct power {
  uint64_t low, high;
};

/* The powers from 10^MIN_POWER to 10^MAX_POWER as significands of 128 bits, of which the first is 1: those from
   10^-27 to 10^-1 rounded up, all others cut off.  `hatch_build.py` works them out, and says how many there are. */
static const struct power POWERS[MAX_POWER - (MIN_POWER) + 1] = {
#include "powers.inc"
};

/* What an integer of up to 19 digits is multiplied by. */
static const uint64_t SMALL_POWERS[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

static inline uint64_t load_word(const char *characters) {
  uint64_t word;
  memcpy(&word, characters, sizeof word);
  return word;
}

static inline void store_word(char *characters, uint64_t word) { memcpy(characters, &word, sizeof word); }

#endif
