#include "runners/analysis/code_digest.h"

#include <doctest/doctest.h>

#include "engine/core/random.h"
#include "runners/analysis/elf_file.h"
#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

using test::Compiled;

constexpr char kScale[] = R"(
#include <math.h>
static const float table[4] = {1, 2, 3, 4};
static float bias(int i) { return table[i & 3]; }
void scale(const float* x, float* y, long n) {
  for (long i = 0; i < n; ++i) y[i] = expf(x[i]) * 0.5f + bias((int)i);
}
)";

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string DigestOfSource(const std::string& source,
                           const std::vector<std::string>& flags = {"-O3"},
                           const std::string& name = "kernel.c") {
  const auto digest = CodeDigest(Compiled(source, flags, "cc", name), {"scale"});
  REQUIRE(digest);
  CHECK(digest->size() == 64);
  return *digest;
}

}  // namespace

TEST_CASE("comments, white space, names of locals, file names and debug information do not count") {
  const std::string digest = DigestOfSource(kScale);
  CHECK(DigestOfSource(std::string("// faster\n\n") + kScale) == digest);
  CHECK(DigestOfSource(
            Replaced(kScale, "static float bias(int i) { return table[i & 3]; }",
                     "static float bias(int where)\n{\n  return table[where & 3];\n}")) == digest);
  std::string renamed = kScale;
  renamed = Replaced(renamed, "static const float table[4]", "static const float weights[4]");
  renamed = Replaced(renamed, "return table[", "return weights[");
  CHECK(DigestOfSource(renamed) == digest);
  CHECK(DigestOfSource(kScale, {"-O3"}, "another_name.c") == digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-g"}) == digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,--build-id=sha1"}) == digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-s"}) == digest);
}

TEST_CASE("code that is called and code that says what is called are two things") {
  const std::string called = "void scale(void) {}\n";
  CHECK(DigestOfSource(called) !=
        DigestOfSource(called + "__asm__(\".type scale, %gnu_indirect_function\");\n"));
}

TEST_CASE("where the linker puts sections does not count") {
  const std::string digest = DigestOfSource(kScale);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-Ttext-segment=0x400000"}) == digest);
  // A long exported name that nothing refers to moves what comes after the string table.
  const std::string grown =
      std::string(kScale) + "extern const int " + std::string(9000, 'n') + "[0];\n";
  CHECK(DigestOfSource(grown) == digest);
}

TEST_CASE("another constant, loop, flag or library is other code") {
  const std::string digest = DigestOfSource(kScale);
  CHECK(DigestOfSource(Replaced(kScale, "0.5f", "0.25f")) != digest);
  CHECK(DigestOfSource(Replaced(kScale, "{1, 2, 3, 4}", "{1, 2, 3, 5}")) != digest);
  CHECK(DigestOfSource(Replaced(kScale, "expf", "sinf")) != digest);
  CHECK(DigestOfSource(Replaced(kScale, "  for", "#pragma GCC unroll 8\n  for")) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-mavx2", "-mfma"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O1"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,--no-as-needed", "-lm"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-z,now"}) != digest);
}

// Two kernels that asked for expf of glibc 2.27 and of 2.2.5, which are two functions, were taken
// for one.
TEST_CASE("which version of a library's function is asked for counts") {
  const auto versioned = [](const char* version) {
    return "__asm__(\".symver expf, expf@" + std::string(version) + "\");\n" + kScale;
  };
#if defined(__x86_64__)
  const std::vector<std::string> libm = {"-O3", "-Wl,--no-as-needed", "-lm"};
  CHECK(DigestOfSource(versioned("GLIBC_2.27"), libm) !=
        DigestOfSource(versioned("GLIBC_2.2.5"), libm));
#endif
}

TEST_CASE("what the loader does counts, even where the code is the same") {
  const std::string digest = DigestOfSource(kScale);
  // A symbol that may be missing, one that is searched for elsewhere, one of this library alone.
  const std::string weak = "__asm__(\".weak expf\");\n";
  CHECK(DigestOfSource(weak + kScale) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-z,execstack"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-z,nodelete"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-Bsymbolic"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-rpath,/opt/lib"}) != digest);
  CHECK(DigestOfSource(kScale, {"-O3", "-Wl,-f,libx.so"}) != digest);
  const std::vector<std::string> one_order = {"-O3", "-Wl,--no-as-needed", "-lgomp", "-lm"};
  const std::vector<std::string> another = {"-O3", "-Wl,--no-as-needed", "-lm", "-lgomp"};
  CHECK(DigestOfSource(kScale, one_order) != DigestOfSource(kScale, another));
  const auto run_at = [](const char* when) {
    return std::string(kScale) + "static int n; __attribute__((" + when +
           ")) static void f(void) { ++n; }\n";
  };
  CHECK(DigestOfSource(run_at("constructor")) != DigestOfSource(run_at("destructor")));
  CHECK(DigestOfSource(run_at("constructor")) != DigestOfSource(run_at("constructor(101)")));
  const auto tls = [](const char* model) {
    return Replaced(
        kScale, "static const float table[4] = {1, 2, 3, 4};",
        std::string("__thread float table[4] __attribute__((tls_model(\"") + model + "\")));");
  };
  CHECK(DigestOfSource(tls("global-dynamic")) != DigestOfSource(tls("initial-exec")));
  const auto pointer = [](const char* at) {
    return std::string(kScale) + "extern char environ[]; char* where = environ + " + at + ";\n";
  };
  CHECK(DigestOfSource(pointer("8")) != DigestOfSource(pointer("16")));
}

// libgomp, loaded along with a kernel, takes the kernel's own malloc for its.
TEST_CASE("what a kernel exports counts where a library is loaded along that may find it") {
  const auto exporting = [](const char* name) {
    return std::string(kScale) + "void* " + name + "(unsigned long n) { return (void*)n; }\n";
  };
  const std::vector<std::string> along = {"-O3", "-fno-builtin", "-Wl,--no-as-needed", "-lgomp"};
  CHECK(DigestOfSource(exporting("malloc"), along) != DigestOfSource(exporting("myown2"), along));
  CHECK(DigestOfSource(exporting("myown1")) == DigestOfSource(exporting("myown2")));
}

TEST_CASE("a line number or a file name that the code uses counts") {
  const std::string source = Replaced(kScale, "* 0.5f", "* __LINE__");
  CHECK(DigestOfSource(source) != DigestOfSource("\n" + source));
  const std::string named = std::string(kScale) + "const char* name(void) { return __FILE__; }\n";
  CHECK(DigestOfSource(named, {"-O3"}, "one.c") != DigestOfSource(named, {"-O3"}, "two.c"));
}

TEST_CASE("data in a section that looks like the linker's own counts") {
  for (const char* section :
       {".note.table,\"a\",@note", ".eh_frame,\"a\",@progbits", ".hidden,\"a\",@progbits"}) {
    INFO(section);
    const auto source = [&](const char* value) {
      return "__asm__(\".section " + Replaced(section, "\"a\"", "\\\"a\\\"") + "\\nt: .long " +
             value +
             "\\n.text\\n.globl scale\\n.type scale,@function\\nscale: mov "
             "t(%rip),%eax\\nret\\n\");\n";
    };
    CHECK(DigestOfSource(source("1")) == DigestOfSource(source("1")));
    CHECK(DigestOfSource(source("1")) != DigestOfSource(source("2")));
  }
}

TEST_CASE("which function is called counts, and it must be there") {
  const std::string library =
      Compiled("int one(void) { return 1; }\nint two(void) { return 2; }\n");
  const auto one = CodeDigest(library, {"one"}), two = CodeDigest(library, {"two"});
  REQUIRE(one);
  REQUIRE(two);
  CHECK(*one != *two);
  const auto none = CodeDigest(library, {"three"});
  REQUIRE_FALSE(none);
  CHECK(none.error().message == "the library does not define the function three");
  CHECK_FALSE(CodeDigest("#!/bin/sh\n", {}));
}

TEST_CASE("any changed byte of code or constants changes the digest") {
  const std::string library = Compiled(kScale);
  const auto elf = ParseElf(library);
  REQUIRE(elf);
  const auto digest = CodeDigest(library, {"scale"});
  CounterRandom random(1, "bytes");
  for (const char* name : {".text", ".rodata"}) {
    const ElfSection* section = elf->Find(name);
    REQUIRE(section != nullptr);
    const auto begin = static_cast<size_t>(section->bytes.data() - library.data());
    for (int i = 0; i < 200; ++i) {
      std::string changed = library;
      changed[begin + random.Below(section->size)] ^= static_cast<char>(1 + random.Below(255));
      CHECK(*CodeDigest(changed, {"scale"}) != *digest);
    }
  }
}

TEST_CASE("damaged files never lead outside the file") {
  const std::string library = Compiled(kScale);
  CounterRandom random(2, "damage");
  for (int round = 0; round < 300; ++round) {
    std::string changed = library;
    for (int i = 0; i < 20; ++i)
      changed[64 + random.Below(changed.size() - 64)] = static_cast<char>(random.Next());
    const auto digest = CodeDigest(changed, {});
    if (digest) CHECK(digest->size() == 64);
  }
}

}  // namespace kev
