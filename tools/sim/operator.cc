#include "tools/sim/operator.h"

namespace kev::sim {

void Operator::Start(MemoryNetwork* network) {
  network_ = network;
  ClientProtocolOptions options;
  options.hello.role = Role::kAdmin;
  options.hello.worker = "operator:" + std::to_string(++life_);
  options.hello.host = "desk";
  options.instance = options.hello.worker;
  options.engine = "the simulation";
  options.engine_lost_grace = std::chrono::milliseconds(60'000);
  protocol_ = std::make_unique<ClientProtocol>(std::move(options));
  link_ = network_->Attach(protocol_.get());
  network_->Delay(link_, 50, 2000);
  for (Given& given : open_) given.question = protocol_->Call(given.what, given.arguments);
}

void Operator::Move(MemoryNetwork* network) {
  if (network == network_) return;
  network_->Detach(link_, true);
  network_ = network;
  link_ = network_->Attach(protocol_.get());
  network_->Delay(link_, 50, 2000);
}

void Operator::Order(const std::string& run, const std::string& what, Value data) {
  data.Set("order", ++orders_);
  if (story_->told())
    story_->Tell("order " + std::to_string(orders_) + " to " + run + ": " + what + " " +
                 ToJson(data));
  Value arguments;
  arguments.Set("run", run);
  arguments.Set("data", std::move(data));
  auto question = protocol_->Call(what, arguments);
  open_.push_back({what, std::move(arguments), std::move(question)});
}

void Operator::Work() {
  if (protocol_->over() || !network_->Attached(link_)) {
    network_->Detach(link_, true);
    return Start(network_);
  }
  std::erase_if(open_, [](const Given& given) { return given.question->done; });
}

}  // namespace kev::sim
