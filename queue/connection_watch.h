// ConnectionWatch: gives every accepted connection a number of its own, from a socket's events
// (file descriptors are used again, numbers never). This is what makes it safe to end a session
// when its connection is reported closed.
//
// Why it is right: a connection is reported accepted before anything that came over it can be read,
// and closed after it. So the number that a living connection gets is its own; one that is dead
// already may get its successor's, and is then noticed later, never another in its place. Threads:
// plain value. Errors: none.
#ifndef KEV_QUEUE_CONNECTION_WATCH_H_
#define KEV_QUEUE_CONNECTION_WATCH_H_

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kev {

class ConnectionWatch {
 public:
  // Both give the connection's number; 0: such a connection is not known.
  uint64_t Accepted(int descriptor) {
    open_[descriptor] = {++last_, true};
    return last_;
  }
  uint64_t Closed(int descriptor) {
    const auto it = open_.find(descriptor);
    if (it == open_.end() || !it->second.open) return 0;
    it->second.open = false;
    closed_.push_back(it->second.number);
    return it->second.number;
  }
  // The number of what uses the descriptor now, or used it last; 0: not known. One that is closed
  // already is reported closed again, since the session begins only now.
  uint64_t NumberOf(int descriptor) {
    const auto it = open_.find(descriptor);
    if (it == open_.end()) return 0;
    if (!it->second.open) closed_.push_back(it->second.number);
    return it->second.number;
  }
  // Connections that were closed since the last call.
  std::vector<uint64_t> TakeClosed() { return std::exchange(closed_, {}); }

 private:
  struct Connection {
    uint64_t number;
    bool open;
  };
  uint64_t last_ = 0;
  std::unordered_map<int, Connection> open_;  // by descriptor: as many as were ever open at once
  std::vector<uint64_t> closed_;
};

}  // namespace kev

#endif  // KEV_QUEUE_CONNECTION_WATCH_H_
