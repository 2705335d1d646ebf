#include "runners/analysis/micro_kernels.h"

#include <cstring>

namespace kev::micro {
namespace {

#if defined(__x86_64__)

// Operands that neither overflow nor become denormal: x = x + 1 * 2^-20.
constexpr float kOne32 = 1.0f, kSmall32 = 0x1p-20f;
constexpr double kOne64 = 1.0, kSmall64 = 0x1p-20;

#define KEV_FMA12(op, r)                                                                          \
  op " %%" r "14,%%" r "15,%%" r "0\n" op " %%" r "14,%%" r "15,%%" r "1\n" op " %%" r "14,%%" r  \
     "15,%%" r "2\n" op " %%" r "14,%%" r "15,%%" r "3\n" op " %%" r "14,%%" r "15,%%" r "4\n" op \
     " %%" r "14,%%" r "15,%%" r "5\n" op " %%" r "14,%%" r "15,%%" r "6\n" op " %%" r "14,%%" r  \
     "15,%%" r "7\n" op " %%" r "14,%%" r "15,%%" r "8\n" op " %%" r "14,%%" r "15,%%" r "9\n" op \
     " %%" r "14,%%" r "15,%%" r "10\n" op " %%" r "14,%%" r "15,%%" r "11\n"

#define KEV_CLEAR(n) "vxorps %%xmm" #n ",%%xmm" #n ",%%xmm" #n "\n"
#define KEV_CLEAR12 \
  KEV_CLEAR(0)      \
  KEV_CLEAR(1)      \
  KEV_CLEAR(2)      \
  KEV_CLEAR(3)      \
  KEV_CLEAR(4)      \
  KEV_CLEAR(5) KEV_CLEAR(6) KEV_CLEAR(7) KEV_CLEAR(8) KEV_CLEAR(9) KEV_CLEAR(10) KEV_CLEAR(11)

#define KEV_VECTORS                                                                        \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

// `load` fills a register with its operand, `op` is the multiply-add, `r` the registers.
#define KEV_FMA_LOOP(load, op, r, one, small)                                  \
  __asm__ volatile(load " %1,%%" r "14\n" load " %2,%%" r "15\n" KEV_CLEAR12   \
                        "1:\n" KEV_FMA12(op, r) "dec %0\njnz 1b\nvzeroupper\n" \
                   : "+r"(passes)                                              \
                   : "m"(one), "m"(small)                                      \
                   : "cc", KEV_VECTORS)

void MultiplyAdd32(Width width, uint64_t passes) {
  if (width == Width::k512)
    KEV_FMA_LOOP("vbroadcastss", "vfmadd231ps", "zmm", kOne32, kSmall32);
  else if (width == Width::k256)
    KEV_FMA_LOOP("vbroadcastss", "vfmadd231ps", "ymm", kOne32, kSmall32);
  else
    KEV_FMA_LOOP("vmovss", "vfmadd231ss", "xmm", kOne32, kSmall32);
}

void MultiplyAdd64(Width width, uint64_t passes) {
  if (width == Width::k512)
    KEV_FMA_LOOP("vbroadcastsd", "vfmadd231pd", "zmm", kOne64, kSmall64);
  else if (width == Width::k256)
    KEV_FMA_LOOP("vbroadcastsd", "vfmadd231pd", "ymm", kOne64, kSmall64);
  else
    KEV_FMA_LOOP("vmovsd", "vfmadd231sd", "xmm", kOne64, kSmall64);
}

#define KEV_LOADS(move, r, a, b, c, d, e, f, g, h)                                               \
  move " " #a "(%0),%%" r "0\n" move " " #b "(%0),%%" r "1\n" move " " #c "(%0),%%" r "2\n" move \
       " " #d "(%0),%%" r "3\n" move " " #e "(%0),%%" r "4\n" move " " #f "(%0),%%" r "5\n" move \
       " " #g "(%0),%%" r "6\n" move " " #h "(%0),%%" r "7\n"

#define KEV_STORES(move, r, a, b, c, d, e, f, g, h)                                              \
  move " %%" r "0," #a "(%1)\n" move " %%" r "1," #b "(%1)\n" move " %%" r "2," #c "(%1)\n" move \
       " %%" r "3," #d "(%1)\n" move " %%" r "4," #e "(%1)\n" move " %%" r "5," #f "(%1)\n" move \
       " %%" r "6," #g "(%1)\n" move " %%" r "7," #h "(%1)\n"

#define KEV_OFFSETS_64 0, 64, 128, 192, 256, 320, 384, 448
#define KEV_OFFSETS_32 0, 32, 64, 96, 128, 160, 192, 224
#define KEV_OFFSETS_16 0, 16, 32, 48, 64, 80, 96, 112
#define KEV_EXPAND(macro, ...) macro(__VA_ARGS__)

#define KEV_LOAD_LOOP(move, r, offsets, step, end)                                            \
  __asm__ volatile("1:\n" KEV_EXPAND(KEV_LOADS, move, r, offsets) "add $" #step               \
                                                                  ",%0\ndec %1\njnz 1b\n" end \
                   : "+r"(from), "+r"(count)                                                  \
                   :                                                                          \
                   : "cc", "memory", KEV_VECTORS)

#define KEV_COPY_LOOP(move, r, offsets, step, end)                                               \
  __asm__ volatile("1:\n" KEV_EXPAND(KEV_LOADS, move, r, offsets)                                \
                       KEV_EXPAND(KEV_STORES, move, r, offsets) "add $" #step ",%0\nadd $" #step \
                                                                ",%1\ndec %2\njnz 1b\n" end      \
                   : "+r"(from), "+r"(to), "+r"(count)                                           \
                   :                                                                             \
                   : "cc", "memory", KEV_VECTORS)

#endif

}  // namespace

#if defined(__x86_64__)

double MultiplyAdd(Width width, bool f64, uint64_t passes) {
  if (passes == 0) return 0;
  f64 ? MultiplyAdd64(width, passes) : MultiplyAdd32(width, passes);
  const double bytes = width == Width::k512 ? 64 : width == Width::k256 ? 32 : (f64 ? 8 : 4);
  return 2.0 * 12 * (bytes / (f64 ? 8 : 4)) * static_cast<double>(passes);
}

void Load(Width width, const void* from, size_t bytes) {
  size_t count = bytes / (width == Width::k512 ? 512 : width == Width::k256 ? 256 : 128);
  if (count == 0) return;
  if (width == Width::k512)
    KEV_LOAD_LOOP("vmovaps", "zmm", KEV_OFFSETS_64, 512, "vzeroupper\n");
  else if (width == Width::k256)
    KEV_LOAD_LOOP("vmovaps", "ymm", KEV_OFFSETS_32, 256, "vzeroupper\n");
  else
    KEV_LOAD_LOOP("movaps", "xmm", KEV_OFFSETS_16, 128, "");
}

void Copy(Width width, void* to, const void* from, size_t bytes) {
  size_t count = bytes / (width == Width::k512 ? 512 : width == Width::k256 ? 256 : 128);
  if (count == 0) return;
  if (width == Width::k512)
    KEV_COPY_LOOP("vmovaps", "zmm", KEV_OFFSETS_64, 512, "vzeroupper\n");
  else if (width == Width::k256)
    KEV_COPY_LOOP("vmovaps", "ymm", KEV_OFFSETS_32, 256, "vzeroupper\n");
  else
    KEV_COPY_LOOP("movaps", "xmm", KEV_OFFSETS_16, 128, "");
}

uint64_t DependentAdds(uint64_t adds) {
  uint64_t sum = 0, passes = (adds + 63) / 64, one = 1;
  if (passes == 0) return 0;
  // Register to register: additions of a constant are folded away by some cores.
  __asm__ volatile("1:\n.rept 64\nadd %2,%0\n.endr\ndec %1\njnz 1b\n"
                   : "+r"(sum), "+r"(passes)
                   : "r"(one)
                   : "cc");
  return sum;
}

#else  // whatever the compiler makes of it

template <typename T>
T Multiplied(uint64_t passes) {
  T x[12] = {};
  volatile T one = 1, small = T(1) / (1 << 20);
  const T a = one, b = small;
  for (uint64_t i = 0; i < passes; ++i) {
    for (T& value : x) value = value * a + b;
  }
  T sum = 0;
  for (const T value : x) sum += value;
  return sum;
}

double MultiplyAdd(Width, bool f64, uint64_t passes) {
  volatile double sink = f64 ? Multiplied<double>(passes) : double(Multiplied<float>(passes));
  (void)sink;
  return 2.0 * 12 * static_cast<double>(passes);
}

void Load(Width, const void* from, size_t bytes) {
  const uint64_t* at = static_cast<const uint64_t*>(from);
  uint64_t sum[8] = {};
  for (size_t i = 0; i + 8 <= bytes / 8; i += 8) {
    for (size_t j = 0; j < 8; ++j) sum[j] |= at[i + j];
  }
  for (const uint64_t value : sum) __asm__ volatile("" ::"r"(value));
}

void Copy(Width, void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  __asm__ volatile("" ::: "memory");
}

uint64_t DependentAdds(uint64_t adds) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < adds; ++i) {
    sum += 1;
    __asm__ volatile("" : "+r"(sum));
  }
  return sum;
}

#endif

void* const* Chase(void* const* start, uint64_t steps) {
  void* const* at = start;
  for (uint64_t i = 0; i < steps; ++i) {
    at = static_cast<void* const*>(*at);
    __asm__ volatile("" : "+r"(at));
  }
  return at;
}

}  // namespace kev::micro
