#include "runners/analysis/x86_decode.h"

#include <array>
#include <cstring>

namespace kev {
namespace {

constexpr size_t kLongest = 15;

// What follows an opcode.
enum Shape : uint8_t {
  kNone,
  kModRm,
  kModRmImm8,
  kModRmImmZ,  // 4 bytes, 2 with the operand-size prefix
  kGroupF6,    // ModRm, and an immediate for /0 and /1
  kGroupF7,
  kImm8,
  kImm16,
  kImm24,  // enter
  kImmZ,
  kMovImm,  // 8 bytes with REX.W
  kOffset,  // an absolute address
  kRel8,
  kRel32,
  kBad,
};

using Map = std::array<Shape, 256>;

constexpr void Fill(Map& map, int from, int to, Shape shape) {
  for (int i = from; i <= to; ++i) map[static_cast<size_t>(i)] = shape;
}

constexpr Map OneByte() {
  Map m{};
  for (int row = 0; row < 0x40; row += 8) {
    Fill(m, row, row + 3, kModRm);
    m[static_cast<size_t>(row) + 4] = kImm8;
    m[static_cast<size_t>(row) + 5] = kImmZ;
    Fill(m, row + 6, row + 7, kBad);
  }
  Fill(m, 0x40, 0x4f, kBad);  // REX stands before the opcode
  Fill(m, 0x60, 0x67, kBad);
  m[0x63] = kModRm;
  m[0x68] = kImmZ;
  m[0x69] = kModRmImmZ;
  m[0x6a] = kImm8;
  m[0x6b] = kModRmImm8;
  Fill(m, 0x70, 0x7f, kRel8);
  m[0x80] = kModRmImm8;
  m[0x81] = kModRmImmZ;
  m[0x82] = kBad;
  m[0x83] = kModRmImm8;
  Fill(m, 0x84, 0x8f, kModRm);
  m[0x9a] = kBad;
  Fill(m, 0xa0, 0xa3, kOffset);
  m[0xa8] = kImm8;
  m[0xa9] = kImmZ;
  Fill(m, 0xb0, 0xb7, kImm8);
  Fill(m, 0xb8, 0xbf, kMovImm);
  Fill(m, 0xc0, 0xc1, kModRmImm8);
  m[0xc2] = m[0xca] = kImm16;
  Fill(m, 0xc4, 0xc5, kBad);  // VEX
  m[0xc6] = kModRmImm8;
  m[0xc7] = kModRmImmZ;
  m[0xc8] = kImm24;
  m[0xcd] = kImm8;
  m[0xce] = kBad;
  Fill(m, 0xd0, 0xd3, kModRm);
  Fill(m, 0xd4, 0xd6, kBad);
  Fill(m, 0xd8, 0xdf, kModRm);
  Fill(m, 0xe0, 0xe3, kRel8);
  Fill(m, 0xe4, 0xe7, kImm8);
  Fill(m, 0xe8, 0xe9, kRel32);
  m[0xea] = kBad;
  m[0xeb] = kRel8;
  Fill(m, 0xf0, 0xf3, kBad);
  m[0xf1] = kNone;
  m[0xf6] = kGroupF6;
  m[0xf7] = kGroupF7;
  Fill(m, 0xfe, 0xff, kModRm);
  return m;
}

constexpr Map TwoByte() {  // after 0f
  Map m{};
  Fill(m, 0x00, 0xff, kModRm);
  Fill(m, 0x04, 0x0c, kNone);
  m[0x04] = m[0x0a] = m[0x0c] = kBad;
  m[0x0e] = kNone;
  m[0x0f] = kBad;
  Fill(m, 0x24, 0x27, kBad);
  Fill(m, 0x30, 0x37, kNone);
  Fill(m, 0x38, 0x3f, kBad);  // 38 and 3a lead to further maps
  Fill(m, 0x70, 0x73, kModRmImm8);
  m[0x77] = kNone;
  Fill(m, 0x7a, 0x7b, kBad);
  Fill(m, 0x80, 0x8f, kRel32);
  Fill(m, 0xa0, 0xa2, kNone);
  m[0xa4] = m[0xac] = m[0xba] = kModRmImm8;
  Fill(m, 0xa6, 0xa7, kBad);
  Fill(m, 0xa8, 0xaa, kNone);
  m[0xc2] = kModRmImm8;
  Fill(m, 0xc4, 0xc6, kModRmImm8);
  Fill(m, 0xc8, 0xcf, kNone);
  return m;
}

constexpr Map kOneByte = OneByte();
constexpr Map kTwoByte = TwoByte();

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes.substr(0, kLongest)) {}

  std::optional<X86Instruction> Decode() {
    Prefixes();
    const int opcode = Next();
    if (opcode < 0) return std::nullopt;
    if (!AfterOpcode(static_cast<uint8_t>(opcode)) || at_ > bytes_.size()) return std::nullopt;
    out_.length = static_cast<uint8_t>(at_);
    if (out_.relative_at != 0) {
      int32_t displacement;
      std::memcpy(&displacement, bytes_.data() + out_.relative_at, 4);
      out_.target = displacement + static_cast<int64_t>(at_);
    } else if (out_.branch) {
      out_.target = static_cast<int8_t>(bytes_[at_ - 1]) + static_cast<int64_t>(at_);
    }
    return out_;
  }

 private:
  int Peek() const { return at_ < bytes_.size() ? static_cast<uint8_t>(bytes_[at_]) : -1; }
  int Next() {
    const int byte = Peek();
    ++at_;
    return byte;
  }

  void Prefixes() {
    for (;; ++at_) {
      switch (Peek()) {
        case 0x66:
          operand16_ = true;
          continue;
        case 0x67:
          address32_ = true;
          continue;
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x26:
        case 0x64:
        case 0x65:
        case 0xf0:
        case 0xf2:
        case 0xf3:
          continue;
        default:
          break;
      }
      break;
    }
    if ((Peek() & ~0x0f) == 0x40) wide_ = (Next() & 8) != 0;
  }

  bool AfterOpcode(uint8_t opcode) {
    switch (opcode) {
      case 0x0f:
        return Escape();
      case 0x62: {  // EVEX: three bytes of payload
        const int map = Next() & 7;
        at_ += 2;
        return VectorMap(map);
      }
      case 0xc4: {
        const int map = Next() & 0x1f;
        ++at_;
        return VectorMap(map);
      }
      case 0xc5:
        ++at_;
        return VectorMap(1);
      default:
        return Operands(kOneByte[opcode]);
    }
  }

  bool Escape() {
    const int opcode = Next();
    if (opcode < 0) return false;
    if (opcode == 0x38 || opcode == 0x3a) {
      ++at_;
      return ModRm() && Skip(opcode == 0x3a ? 1 : 0);
    }
    return Operands(kTwoByte[static_cast<size_t>(opcode)]);
  }

  // Opcode and operands of a VEX or EVEX instruction: ModRm in all, but for vzeroupper.
  bool VectorMap(int map) {
    const int opcode = Next();
    if (opcode < 0) return false;
    if (map == 1 && opcode == 0x77) return true;
    const bool immediate =
        map == 3 || (map == 1 && kTwoByte[static_cast<size_t>(opcode)] == kModRmImm8);
    if (map != 1 && map != 2 && map != 3 && map != 5 && map != 6) return false;
    return ModRm() && Skip(immediate ? 1 : 0);
  }

  bool Operands(Shape shape) {
    const size_t z = operand16_ ? 2 : 4;
    switch (shape) {
      case kNone:
        return true;
      case kModRm:
        return ModRm();
      case kModRmImm8:
        return ModRm() && Skip(1);
      case kModRmImmZ:
        return ModRm() && Skip(z);
      case kGroupF6:
      case kGroupF7: {
        const bool test = ((Peek() >> 3) & 7) < 2;
        return ModRm() && Skip(!test ? 0 : shape == kGroupF6 ? 1 : z);
      }
      case kImm8:
        return Skip(1);
      case kImm16:
        return Skip(2);
      case kImm24:
        return Skip(3);
      case kImmZ:
        return Skip(z);
      case kMovImm:
        return Skip(wide_ ? 8 : z);
      case kOffset:
        return Skip(address32_ ? 4 : 8);
      case kRel8:
        out_.branch = true;
        return Skip(1);
      case kRel32:
        out_.branch = true;
        return Relative();
      case kBad:
        return false;
    }
    return false;
  }

  bool Relative() {
    out_.relative_at = static_cast<uint8_t>(at_);
    return Skip(4);
  }

  bool ModRm() {
    const int byte = Next();
    if (byte < 0) return false;
    const int mode = byte >> 6, rm = byte & 7;
    if (mode == 3) return true;
    bool disp32 = mode == 2;
    if (rm == 4) {
      const int sib = Next();
      if (sib < 0) return false;
      disp32 = disp32 || (mode == 0 && (sib & 7) == 5);
    } else if (mode == 0 && rm == 5) {
      // With a 32-bit address it would wrap at 4 GiB: not seen in practice, not worth a rule.
      return !address32_ && Relative();
    }
    return Skip(disp32 ? 4 : mode == 1 ? 1 : 0);
  }

  bool Skip(size_t n) {
    at_ += n;
    return at_ <= bytes_.size();
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool operand16_ = false, address32_ = false, wide_ = false;
  X86Instruction out_;
};

}  // namespace

std::optional<X86Instruction> DecodeX86(std::string_view bytes) { return Decoder(bytes).Decode(); }

}  // namespace kev
