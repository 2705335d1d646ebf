// Result<T>: a value, or an Error with a code that says whether trying again can help.
//
// Used for failures of the system (I/O, protocol, bad files). What happens to a kernel (it does not
// compile, it is wrong, it crashes) is not an Error but a Verdict (engine/core/job.h). Threads:
// plain values. Exceptions are not used; adapters turn a library's exceptions into Errors.
#ifndef KEV_ENGINE_CORE_RESULT_H_
#define KEV_ENGINE_CORE_RESULT_H_

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace kev {

enum class Code {
  kInvalid,      // bad input: a file, an argument, a message. Trying again does not help.
  kNotFound,     // the named thing does not exist
  kExists,       // the named thing exists already, or is in use
  kUnavailable,  // a service or resource is away for now: trying again can help
  kDiskFull,     // no space left: trying again helps once there is space
  kPermission,   // not allowed
  kCorrupt,      // stored data does not have the form it must have
  kConflict,     // somebody else wrote in between (epoch, sequence)
  kInternal,     // a bug, or an operating-system call that should not fail
};

struct Error {
  Code code = Code::kInternal;
  std::string message;  // what happened, where, and what to do about it
  bool Retryable() const { return code == Code::kUnavailable || code == Code::kDiskFull; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: implicit on purpose
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: ok()
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !ok()
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// Success or an Error, for functions that return nothing else.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose
  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RESULT_H_
