#include "tools/live/confirmed_mark.h"

#include <filesystem>
#include <fstream>
#include <system_error>

namespace kev {

void WriteConfirmedMark(const RunFolder& folder, uint64_t seq, Durability durability) {
  const std::string beside = folder.Confirmed() + ".new";
  {
    std::ofstream out(beside, std::ios::trunc);
    out << seq << (durability == Durability::kStrict ? " strict\n" : " may-lose\n");
    if (!out.flush()) return;
  }
  std::error_code ignored;
  std::filesystem::rename(beside, folder.Confirmed(), ignored);
}

Status CheckConfirmedMark(const RunFolder& folder, uint64_t last_seq,
                          const std::function<void(const std::string&)>& note) {
  std::ifstream in(folder.Confirmed());
  uint64_t seq = 0;
  std::string promise;
  if (!(in >> seq >> promise) || seq <= last_seq) return {};
  const std::string lost = "the log of run " + folder.id + " ends at event " +
                           std::to_string(last_seq) + ", and event " + std::to_string(seq) +
                           " had been confirmed";
  if (promise == "strict") {
    return Error{Code::kConflict,
                 lost +
                     ": the store has lost what it had taken. Nothing was changed. Give it its "
                     "files back; or remove " +
                     folder.Confirmed() + ", and the run goes on from what is left"};
  }
  note(lost + ": what follows is lost (its durability allowed that) and is done again");
  return {};
}

}  // namespace kev
