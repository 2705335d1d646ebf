// Operator: the one who gives orders to runs (pause, resume, budget, cancel, dead letters) over the
// real client protocol, and gives each again until it is answered.
//
// Threads: one at a time. Errors: none.
#ifndef KEV_TOOLS_SIM_OPERATOR_H_
#define KEV_TOOLS_SIM_OPERATOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "queue/client_protocol.h"
#include "queue/fake/memory_network.h"
#include "tools/sim/story.h"

namespace kev::sim {

class Operator {
 public:
  explicit Operator(Story* story) : story_(story) {}

  void Start(MemoryNetwork* network);
  void Move(MemoryNetwork* network);
  void Order(const std::string& run, const std::string& what, Value data);
  void Work();
  size_t open() const { return open_.size(); }
  MemoryNetwork* network() const { return network_; }
  MemoryNetwork::Link link() const { return link_; }

 private:
  struct Given {
    std::string what;
    Value arguments;
    std::shared_ptr<const ClientQuestion> question;
  };
  Story* story_;
  uint64_t life_ = 0;
  int64_t orders_ = 0;
  MemoryNetwork* network_ = nullptr;
  MemoryNetwork::Link link_ = 0;
  std::unique_ptr<ClientProtocol> protocol_;
  std::vector<Given> open_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_OPERATOR_H_
