#include "runners/sandbox/library_closure.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/runners/sandbox/probe_run.h"

namespace kev {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

bool Has(const PathPairs& files, const std::string& name) {
  return std::any_of(files.begin(), files.end(), [&](const auto& file) {
    return file.second.substr(file.second.rfind('/') + 1) == name;
  });
}

}  // namespace

TEST_CASE("a program's libraries and loader are read from its file") {
  const Result<ElfNeeds> needs = ReadElfNeeds(Contents(ProbeProgram()));
  REQUIRE(needs.ok());
  CHECK(needs->interpreter.find("ld-linux") != std::string::npos);
  CHECK(std::count(needs->libraries.begin(), needs->libraries.end(), "libc.so.6") == 1);
}

TEST_CASE("what is no ELF file, or a cut one, is corrupt and nothing worse") {
  CHECK(ReadElfNeeds("").error().code == Code::kCorrupt);
  CHECK(ReadElfNeeds("#!/bin/sh\n").error().code == Code::kCorrupt);
  const std::string whole = Contents(ProbeProgram());
  for (size_t size = 0; size < 2000; size += 7) {
    const Result<ElfNeeds> needs = ReadElfNeeds(whole.substr(0, size));
    if (!needs) CHECK(needs.error().code == Code::kCorrupt);
  }
  std::string damaged = whole;
  for (size_t at = 64; at < 1200; at += 3) damaged[at] = static_cast<char>(at * 31);
  [[maybe_unused]] const Result<ElfNeeds> any = ReadElfNeeds(damaged);
}

TEST_CASE("a library brings what it needs, each file once and without links") {
  const Result<PathPairs> files = LibraryClosure({"libstdc++.so.6", "libm.so.6"});
  REQUIRE_MESSAGE(files.ok(), files.error().message);
  for (const char* name : {"libstdc++.so.6", "libm.so.6", "libc.so.6", "libgcc_s.so.1"})
    CHECK_MESSAGE(Has(*files, name), name);
  std::vector<std::string> inside;
  for (const auto& [from, to] : *files) {
    inside.push_back(to);
    CHECK_FALSE(std::filesystem::is_symlink(from));
    CHECK(std::filesystem::is_regular_file(from));
  }
  std::sort(inside.begin(), inside.end());
  CHECK(std::adjacent_find(inside.begin(), inside.end()) == inside.end());
}

// What is linked with -lopenblas was made from libopenblas.so and asks for libopenblas.so.0.
TEST_CASE("a library that is named as linkers name it is there under its own name, too") {
  if (!FindLibrary("libopenblas.so").ok()) return;
  const Result<PathPairs> files = LibraryClosure({"libopenblas.so"});
  REQUIRE_MESSAGE(files.ok(), files.error().message);
  CHECK(Has(*files, "libopenblas.so"));
  CHECK(Has(*files, "libopenblas.so.0"));
}

TEST_CASE("a library that is not installed is named") {
  const Result<PathPairs> files = LibraryClosure({"libnosuch.so.9"});
  REQUIRE_FALSE(files.ok());
  CHECK(files.error().code == Code::kNotFound);
  CHECK(files.error().message.find("libnosuch.so.9") != std::string::npos);
}

TEST_CASE("declared libraries are visible in a sandbox and others are not") {
  if (!FindLibrary("libopenblas.so.0").ok()) return;
  const std::string folder = [] {
    const Result<PathPairs> files = LibraryClosure({"libc.so.6"});
    REQUIRE(files.ok());
    return std::filesystem::path(files->front().second).parent_path().string();
  }();
  for (const Isolation isolation : WorkingIsolations()) {
    if (!HasNamespaces(isolation)) continue;
    SandboxPlan plan = ProbePlan("read", folder + "/libopenblas.so.0");
    CHECK(RunProbe(plan, isolation).output == "no: ENOENT\n");
    const Result<PathPairs> files = RuntimeFiles(ProbeProgram(), {"libopenblas.so.0"});
    REQUIRE(files.ok());
    plan.read_only = *files;
    CHECK(RunProbe(plan, isolation).output.substr(1, 3) == "ELF");
  }
}

}  // namespace kev
