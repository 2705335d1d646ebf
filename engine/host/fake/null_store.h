// NullStore: confirms every commit at once and keeps nothing; for measuring the engine without a
// store.
//
// Threads: one at a time. Errors: reads give kNotFound.
#ifndef KEV_ENGINE_HOST_FAKE_NULL_STORE_H_
#define KEV_ENGINE_HOST_FAKE_NULL_STORE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/store.h"

namespace kev {

class NullStore : public Store {
 public:
  uint64_t Submit(std::shared_ptr<const Commit>) override { return Done({}); }
  uint64_t ReadBlob(const std::string& sha256) override {
    return Done(Error{Code::kNotFound, "the null store keeps no blob " + sha256});
  }
  uint64_t ReadLog(const std::string& run, uint64_t, uint64_t) override {
    return Done(Error{Code::kNotFound, "the null store keeps no log of " + run});
  }
  uint64_t ReadEnd(const std::string& run) override {
    return Done(Error{Code::kNotFound, "the null store keeps no log of " + run});
  }
  uint64_t Trim(const std::string&, uint64_t, const std::vector<std::string>&) override {
    return Done({});
  }
  std::vector<Completion> Poll() override { return std::exchange(done_, {}); }
  int Descriptor() const override { return -1; }
  bool WantsWrite() const override { return false; }

 private:
  uint64_t Done(Status status) {
    done_.push_back({++tickets_, std::move(status), {}});
    return tickets_;
  }

  uint64_t tickets_ = 0;
  std::vector<Completion> done_;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_FAKE_NULL_STORE_H_
