#include "tools/live/run_closer.h"

namespace kev {

RunCloser::RunCloser(Closing closing, std::string store_address)
    : closing_(std::move(closing)),
      address_(std::move(store_address)),
      thread_([this] { Work(); }) {}

RunCloser::~RunCloser() { thread_.join(); }

void RunCloser::Work() {
  auto store = RedisStore::Connect(address_);
  status_ = store ? SaveBest(**store, closing_) : Status(store.error());
  if (status_.ok()) status_ = ArchiveFrom(**store, closing_);
  done_.store(true, std::memory_order_release);
}

}  // namespace kev
