// Element types of arrays and scalars, and exact conversion of elements to and from double.
//
// f16 (IEEE binary16) and bf16 are converted by own code, as g++ 12 has neither type in C++. In C
// and C++ declarations both are uint16_t, which holds the bits: the one spelling that every C and
// C++ compiler accepts and passes in the same way; a kernel may read the bits as _Float16 or __bf16
// where its compiler has them. bool is one byte, 0 or 1.
// Rounding is to the nearest, ties to even, with subnormals. Threads: functions on values. Errors:
// none.
#ifndef KEV_ENGINE_CORE_DTYPE_H_
#define KEV_ENGINE_CORE_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kev {

enum class DType : uint32_t {
  kF32,
  kF64,
  kI32,
  kI64,
  kU8,
  kF16,
  kBF16,
  kI8,
  kI16,
  kU16,
  kU32,
  kU64,
  kBool,
};
const char* Name(DType dtype);   // "f32", …
const char* CType(DType dtype);  // as C and C++ declare it: "float", "uint16_t" for f16, …
std::optional<DType> DTypeFrom(std::string_view name);
const std::vector<std::string>& DTypeNames();  // floats first
uint32_t SizeOf(DType dtype);                  // bytes
bool IsFloat(DType dtype);
bool IsSigned(DType dtype);

// A binary floating-point format: value = 1.f * 2^e for e in [least_exponent, most_exponent], f of
// `fraction_bits` bits; below that, subnormals.
struct FloatFormat {
  int fraction_bits;
  int least_exponent;
  int most_exponent;

  double Epsilon() const;         // distance from 1 to the next value
  double SmallestNormal() const;  // 2^least_exponent
  double Largest() const;         // largest finite value
};
// REQUIRES: IsFloat(dtype).
FloatFormat FormatOf(DType dtype);
// Distance between neighbouring values at `value` (1 for integers and bool, infinite where `value`
// is not finite).
double UlpAt(DType dtype, double value);

// The element at `from`, exactly; i64 and u64 beyond 2^53 are rounded. `from` need not be aligned.
double ToDouble(DType dtype, const void* from);
// Writes `value` as an element, rounded. Integers saturate, a NaN becomes 0 there; bool is value !=
// 0.
void FromDouble(DType dtype, double value, void* to);
// `value` as the nearest element has it.
double RoundTo(DType dtype, double value);

// Whole arrays. REQUIRES: `to` holds bytes.size() / SizeOf(dtype) doubles; `to` holds count *
// SizeOf(dtype) bytes.
void ToDoubles(DType dtype, std::string_view bytes, double* to);
void FromDoubles(DType dtype, const double* from, uint64_t count, char* to);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_DTYPE_H_
