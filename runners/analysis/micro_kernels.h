// Small loops that use one part of a core to the full, for measuring what it can do. Written in
// assembly where the compiler must not have a say.
//
// Each runs for about as long as its argument says and gives how much it did; the caller times it.
// Threads: functions on their arguments. Errors: none; REQUIRES says what the CPU must have.
#ifndef KEV_RUNNERS_ANALYSIS_MICRO_KERNELS_H_
#define KEV_RUNNERS_ANALYSIS_MICRO_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace kev::micro {

enum class Width { kScalar, k256, k512 };

// Floating-point operations done in `passes` passes over twelve independent fused multiply-adds
// (twelve cover two units with a latency of five and leave registers for the operands).
// REQUIRES: FMA for kScalar and k256, AVX-512F for k512; anything on CPUs that are not x86-64.
double MultiplyAdd(Width width, bool f64, uint64_t passes);

// Reads `bytes` bytes (a multiple of 512, 64-aligned). REQUIRES: AVX2 or AVX-512F by `width`.
void Load(Width width, const void* from, size_t bytes);
// Copies them with ordinary stores. REQUIRES as Load.
void Copy(Width width, void* to, const void* from, size_t bytes);

// Follows `steps` pointers, each to the next; gives the last.
void* const* Chase(void* const* start, uint64_t steps);

// `adds` additions (rounded up to 64), each of which waits for the one before: one cycle each.
uint64_t DependentAdds(uint64_t adds);

}  // namespace kev::micro

#endif  // KEV_RUNNERS_ANALYSIS_MICRO_KERNELS_H_
