// Instructions of the processor that Swift has no names for.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

// Intel, Software Developer's Manual, volume 2: SHA256RNDS2, SHA256MSG1 and SHA256MSG2. Each function is one instruction,
// which exists only if processor_has_sha is true; their operands are SSE registers.
typedef unsigned int processor_words __attribute__((vector_size(16)));
#define PROCESSOR_SHA static inline __attribute__((target("sha"))) processor_words

// Two rounds of SHA-256: the new a, b, e and f.
PROCESSOR_SHA processor_sha256_rounds(processor_words cdgh, processor_words abef, processor_words words) {
  return (processor_words)_mm_sha256rnds2_epu32((__m128i)cdgh, (__m128i)abef, (__m128i)words);
}

// Of four words of the schedule, the sum of the first one and of σ0 of the second one.
PROCESSOR_SHA processor_sha256_schedule_1(processor_words words, processor_words next) {
  return (processor_words)_mm_sha256msg1_epu32((__m128i)words, (__m128i)next);
}

// The four words, from these sums and the last four words.
PROCESSOR_SHA processor_sha256_schedule_2(processor_words sums, processor_words last) {
  return (processor_words)_mm_sha256msg2_epu32((__m128i)sums, (__m128i)last);
}

// The same volume: CRC32, which exists only if processor_has_crc32 is true. The remainder of CRC-32C after eight more
// bytes.
static inline __attribute__((target("crc32"))) unsigned long long processor_crc32c(
    unsigned long long remainder, unsigned long long word) {
  return _mm_crc32_u64(remainder, word);
}

// CPUID leaf 1: bit 20 of ECX, SSE4.2, which CRC32 is a part of.
static inline int processor_has_crc32(void) {
  unsigned int eax, ebx, ecx = 0, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 20)) != 0;
}

// CPUID leaf 7: bit 29 of EBX.
static inline int processor_has_sha(void) {
  unsigned int eax, ebx = 0, ecx, edx;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & (1u << 29)) != 0;
}
#endif
