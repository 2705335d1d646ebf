#include "stages/verify/expected.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/core/digest.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 256;  // kept; a file is about as large as a workload's outputs
constexpr std::string_view kMagic = "kevolve expected 1\n";

bool IsOutput(const CallArgument& argument) {
  return argument.kind == CallArgument::Kind::kOut || argument.kind == CallArgument::Kind::kInOut;
}

// Everything that the outputs depend on: the library, and what the function is given.
std::string KeyOf(const std::string& sha256, const RunnerOptions& reference,
                  const RegionImage& image) {
  std::string text = sha256 + "\n" + reference.symbol + "\n";
  for (const auto& [name, value] : reference.environment) text += name + "=" + value + "\n";
  const CallSpec& call = image.calls()[0];
  for (size_t a = 0; a < call.arguments.size(); ++a) {
    const CallArgument& argument = call.arguments[a];
    text += std::to_string(static_cast<int>(argument.kind)) + " " +
            std::to_string(static_cast<int>(argument.type)) + " " + std::to_string(argument.count) +
            " " + std::to_string(argument.scalar) + " ";
    if (argument.kind == CallArgument::Kind::kIn || argument.kind == CallArgument::Kind::kInOut) {
      text += DigestOf(image.Array(0, a)).Hex();
    }
    text += "\n";
  }
  return DigestOf(text).Hex();
}

// Removes the older half when there are too many.
void Prune(const fs::path& folder) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    files.emplace_back(entry.last_write_time(error), entry.path());
  }
  if (files.size() <= kMostFiles) return;
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i < files.size() / 2; ++i) fs::remove(files[i].second, error);
}

bool ReadKept(const fs::path& path, const RegionImage& image, Expected* expected) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const std::vector<CallArgument>& arguments = image.calls()[0].arguments;
  size_t size = kMagic.size() + sizeof(double);
  for (const CallArgument& argument : arguments) {
    if (IsOutput(argument)) size += argument.count * SizeOf(argument.type);
  }
  if (bytes.size() != size || !bytes.starts_with(kMagic)) return false;
  size_t at = kMagic.size();
  std::memcpy(&expected->call_ns, bytes.data() + at, sizeof(double));
  at += sizeof(double);
  for (const CallArgument& argument : arguments) {
    const size_t length = IsOutput(argument) ? argument.count * SizeOf(argument.type) : 0;
    expected->outputs.push_back(bytes.substr(at, length));
    at += length;
  }
  return true;
}

// A cache that cannot be written costs time, not correctness: errors are passed over.
void Keep(const fs::path& folder, const fs::path& path, const Expected& expected) {
  std::error_code error;
  fs::create_directories(folder, error);
  static std::atomic<uint64_t> count{0};
  const fs::path draft =
      path.string() + "." + std::to_string(getpid()) + "." + std::to_string(++count);
  std::ofstream file(draft, std::ios::binary);
  file << kMagic;
  file.write(reinterpret_cast<const char*>(&expected.call_ns), sizeof(double));
  for (const std::string& output : expected.outputs) file << output;
  file.close();
  if (file) fs::rename(draft, path, error);
  if (!file || error) fs::remove(draft, error);
  Prune(folder);
}

}  // namespace

Result<Expected> ExpectedOutputs(const RunnerOptions& reference, const std::string& sha256,
                                 const RegionImage& image, RunnerProcess::Clock::duration deadline,
                                 const std::string& cache_folder) {
  Expected expected;
  const fs::path folder = fs::path(cache_folder) / "expected";
  const fs::path path = folder / KeyOf(sha256, reference, image);
  if (ReadKept(path, image, &expected)) return expected;
  expected = Expected();
  auto process = RunnerProcess::Start(reference, image);
  if (!process.ok()) return process.error();
  Outcome outcome = (*process)->Load(deadline);
  if (outcome.ok()) outcome = (*process)->Call(0, deadline, &expected.call_ns);
  if (outcome.kind == Outcome::Kind::kBroken) return Error{Code::kUnavailable, outcome.message};
  if (!outcome.ok()) {
    expected.broken = outcome.message;
    return expected;
  }
  Result<std::string> region = (*process)->ReadRegion();
  if (!region.ok()) return region.error();
  expected.broken = image.Violation(*region, 0);
  if (!expected.broken.empty()) return expected;
  for (size_t a = 0; a < image.calls()[0].arguments.size(); ++a) {
    expected.outputs.emplace_back(
        IsOutput(image.calls()[0].arguments[a]) ? image.Array(*region, 0, a) : std::string_view());
  }
  Keep(folder, path, expected);
  return expected;
}

}  // namespace kev
