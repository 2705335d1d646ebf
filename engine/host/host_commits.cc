// The store's side: commits on their way and confirmed, what is read from it, and its loss.
#include <charconv>

#include "engine/host/host.h"

namespace kev {

void Host::ReadLog(const std::string& run, uint64_t from, uint64_t to, Answer answer) {
  if (read_trimmed) {
    if (auto groups = read_trimmed(run, from, to)) return answer(Status(), std::move(*groups));
  }
  Read({0, "", run, from, to, 0, std::move(answer)});
}

void Host::ReadBlob(const std::string& sha256, Answer answer) {
  Read({0, sha256, "", 0, 0, 0, std::move(answer)});
}

void Host::Read(Reader reader) {
  const uint64_t ticket = !reader.sha256.empty()
                              ? store_->ReadBlob(reader.sha256)
                              : store_->ReadLog(reader.run, reader.from, reader.to);
  readers_[ticket] = std::move(reader);
}

bool Host::CommitGroups() {
  bool any = false;
  if (store_lost_) return any;
  for (const auto& [number, run] : runs_) {
    if (run->grace_until_ms_ && clock_->NowMs() >= *run->grace_until_ms_) EndGrace(*run);
    const size_t before = run->committing_.size();
    if (!run->CommitGroups(store_, clock_->NowMs())) continue;
    any = true;
    if (commits_.empty()) asked_ms_ = clock_->NowMs();
    for (size_t i = before; i < run->committing_.size(); ++i)
      commits_[run->committing_[i].ticket] = run.get();
  }
  return any;
}

bool Host::Confirm() {
  bool any = false;
  for (Completion& done : store_->Poll()) {
    if (!any) asked_ms_ = clock_->NowMs();
    any = true;
    const auto reader = readers_.find(done.ticket);
    if (reader != readers_.end()) {
      const bool gone = !done.status.ok() && done.status.error().code == Code::kUnavailable;
      if (gone) {  // asked again when the store is back
        if (!store_lost_) store_lost_ = done.status.error();
        continue;
      }
      Reader r = std::move(reader->second);
      readers_.erase(reader);
      AnswerReader(std::move(r), std::move(done));
      continue;
    }
    const auto owner = commits_.find(done.ticket);
    if (owner == commits_.end()) continue;
    HostedRun* run = owner->second;
    if (!done.status.ok()) {
      // After a lost commit the next one cannot fit; what became of both, Reconcile finds out.
      if (store_lost_) continue;
      if (done.status.error().code == Code::kConflict)
        run->broken_ = done.status.error();
      else
        store_lost_ = done.status.error();
      continue;
    }
    commits_.erase(owner);
    if (run->broken_) continue;
    Confirmed(*run, run->Confirm(done.ticket, clock_->NowMs()));
  }
  return any;
}

int64_t Host::StoreSilentMs() const {
  return commits_.empty() || store_lost_ ? 0 : clock_->NowMs() - asked_ms_;
}

void Host::AnswerReader(Reader reader, Completion done) {
  const bool gone = !done.status.ok() && done.status.error().code == Code::kNotFound;
  if (!reader.sha256.empty() && gone && read_moved_blob) {
    Result<std::optional<std::string>> moved = read_moved_blob(reader.sha256);
    if (!moved) {
      done.status = moved.error();
    } else if (*moved) {
      done.status = Status();
      done.data = {std::move(**moved)};
    }
  }
  if (reader.end_of != 0) {
    --reconciling_;
    const auto it = runs_.find(reader.end_of);
    if (it != runs_.end()) {
      HostedRun& run = *it->second;
      if (done.status.ok() && done.data.size() == 4) {
        const auto number = [](const std::string& text) {
          uint64_t n = 0;
          std::from_chars(text.data(), text.data() + text.size(), n);
          return n;
        };
        const HostedRun::LogEnd end{number(done.data[0]), std::move(done.data[2]),
                                    number(done.data[3])};
        auto confirmed = run.Reconcile(store_, end, clock_->NowMs());
        for (const HostedRun::InCommit& in : run.committing_) commits_[in.ticket] = &run;
        Confirmed(run, std::move(confirmed));
      } else {
        run.broken_ = done.status.ok()
                          ? Error{Code::kCorrupt, "the store does not say where the log of run " +
                                                      run.options().run + " ends"}
                          : done.status.error();
      }
    }
    if (reconciling_ == 0) store_lost_.reset();
  } else if (reader.answer) {
    reader.answer(done.status, std::move(done.data));
  } else if (!reader.sha256.empty()) {
    BlobAnswer answer{reader.sha256, done.status.ok(), ""};
    if (answer.found && !done.data.empty()) answer.bytes = std::move(done.data[0]);
    transport_->Send(reader.session, std::move(answer));
  } else {
    transport_->Send(reader.session, HistoryAnswer{reader.run, reader.from, std::move(done.data)});
  }
}

void Host::Reconcile(Store* store) {
  store_ = store;
  commits_.clear();
  std::map<uint64_t, Reader> readers;
  readers.swap(readers_);
  reconciling_ = 0;
  if (!store_lost_) store_lost_ = Error{Code::kUnavailable, "the store was changed"};
  for (const auto& [number, run] : runs_) {
    if (run->broken_) continue;
    ++reconciling_;
    Reader end;
    end.end_of = number;
    readers_[store_->ReadEnd(run->options().run)] = std::move(end);
  }
  for (auto& [ticket, reader] : readers) {
    if (reader.end_of == 0) Read(std::move(reader));
  }
  if (reconciling_ == 0) store_lost_.reset();
}

void Host::Confirmed(HostedRun& run, std::vector<HostedRun::InCommit> commits) {
  for (HostedRun::InCommit& in : commits) {
    for (auto& [session, ack] : in.acks) {
      run.reported_.erase({ack.key, ack.attempt});
      transport_->Send(session, std::move(ack));
    }
    RegisterClasses(run);
    Execute(run, in.commands);
    if (run.core().paused() != run.held_) {
      run.held_ = run.core().paused();
      placer_.HoldRun(run.number(), run.held_, clock_->NowMs());
    }
    for (const auto& done : in.done) done();
    if (run.on_committed) run.on_committed(in.group, *in.commit);
  }
}

}  // namespace kev
