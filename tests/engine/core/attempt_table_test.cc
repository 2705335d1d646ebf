#include "engine/core/attempt_table.h"

#include <doctest/doctest.h>

#include <map>
#include <vector>

namespace kev {
namespace {

AttemptId Id(uint32_t number) {
  return {number % 3, {{static_cast<SubjectKind>(number % 2), number / 7}, 2, 1}, number % 7};
}

TEST_CASE("the table finds what was put in and not taken out, through growth and erasure") {
  AttemptTable table;
  std::map<AttemptId, uint32_t> reference;
  uint64_t state = 1;
  for (int step = 0; step < 20'000; ++step) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const AttemptId id = Id(static_cast<uint32_t>(state >> 33) % 3000);
    const auto it = reference.find(id);
    const uint32_t found = table.Find(id);
    REQUIRE((it == reference.end() ? kNoIndex : it->second) == found);
    if (it == reference.end()) {
      reference.emplace(id, table.Insert(id));
    } else {
      table.Erase(found);
      reference.erase(it);
    }
    REQUIRE(table.size() == reference.size());
  }
  for (const auto& [id, index] : reference) CHECK(table.Find(id) == index);
}

TEST_CASE("ids that differ in one field only are different") {
  AttemptTable table;
  const AttemptId base{1, {{SubjectKind::kCandidate, 2}, 3, 4}, 5};
  AttemptId others[6] = {base, base, base, base, base, base};
  others[0].run = 9;
  others[1].key.subject.kind = SubjectKind::kRequest;
  others[2].key.subject.number = 9;
  others[3].key.step = 9;
  others[4].key.index = 9;
  others[5].attempt = 9;
  table.Insert(base);
  for (const AttemptId& other : others) CHECK(table.Find(other) == kNoIndex);
}

TEST_CASE("a list keeps its order through insertion and removal anywhere") {
  AttemptTable table;
  OrderList list;
  uint32_t at[5];
  for (uint32_t i = 0; i < 5; ++i) at[i] = table.Insert(Id(i + 100));
  list.PushBack(table, at[2]);
  list.PushBack(table, at[4]);
  list.InsertBefore(table, at[2], at[0]);
  list.InsertBefore(table, at[4], at[3]);
  list.InsertBefore(table, at[2], at[1]);
  const auto order = [&] {
    std::vector<uint32_t> seen;
    for (uint32_t i = list.front(); i != kNoIndex; i = OrderList::Next(table, i)) seen.push_back(i);
    return seen;
  };
  CHECK(order() == std::vector<uint32_t>{at[0], at[1], at[2], at[3], at[4]});
  list.Erase(table, at[0]);
  list.Erase(table, at[2]);
  list.Erase(table, at[4]);
  CHECK(order() == std::vector<uint32_t>{at[1], at[3]});
  CHECK(list.back() == at[3]);
  CHECK(list.size() == 2);
}

}  // namespace
}  // namespace kev
