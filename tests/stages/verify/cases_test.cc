#include "stages/verify/cases.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "stages/verify/values.h"

namespace kev {
namespace {

Program Length() {
  Program program;
  program.code = {{Op::kLoad, 0}};
  program.names = {"n"};
  return program;
}

// table: sorted unique i32[n]; ids: picked from table at `rate`, i32[n].
Task PickTask(double rate) {
  Task task;
  task.name = "pick";
  Argument ids, table;
  table.name = "table";
  table.dtype = ids.dtype = DType::kI32;
  table.dims = ids.dims = {Length()};
  table.fill.kind = Fill::Kind::kSortedUnique;
  ids.name = "ids";
  ids.fill = {Fill::Kind::kPickFrom, rate, 0, "table"};
  task.arguments = {ids, table};  // picks from an argument that comes after it
  task.domain = {{"n", {1, 100000000}}};
  return task;
}

std::vector<int32_t> Ints(std::string_view bytes) {
  std::vector<int32_t> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Arrays Filled(const Task& task, const Case& one, uint64_t secret) {
  Result<Arrays> arrays = InputArrays(task, one, secret);
  REQUIRE(arrays.ok());
  return *arrays;
}

TEST_CASE(
    "a table is ascending without repeats, and picks are in it at the rate that was asked for") {
  const Task task = PickTask(0.75);
  const Case one = {"w", {{"n", 4000}}, 1, false};
  const Arrays image = Filled(task, one, 3);
  const std::vector<int32_t> ids = Ints(image[0]), table = Ints(image[1]);
  CHECK(std::adjacent_find(table.begin(), table.end(), std::greater_equal<>()) == table.end());
  const auto present = std::count_if(ids.begin(), ids.end(), [&](int32_t id) {
    return std::binary_search(table.begin(), table.end(), id);
  });
  CHECK(present > 2850);
  CHECK(present < 3150);
}

TEST_CASE("inputs follow from secret, workload and seed") {
  const Task task = PickTask(0.5);
  const Case one = {"w", {{"n", 100}}, 1, false};
  Case other = one;
  other.seed = 2;
  CHECK(Filled(task, one, 3)[0] == Filled(task, one, 3)[0]);
  CHECK(Filled(task, one, 3)[0] != Filled(task, one, 4)[0]);
  CHECK(Filled(task, one, 3)[0] != Filled(task, other, 3)[0]);
}

TEST_CASE("drawn shapes stay in the domain and within what a reference can answer") {
  const Task task = PickTask(0.5);
  std::set<int64_t> sizes;
  for (uint64_t secret = 0; secret < 50; ++secret) {
    const std::vector<Case> cases = FullCases(task, secret).value();
    REQUIRE(cases.size() == 4);  // the first at the domain's end
    for (const Case& one : {cases[1], cases[2], cases[3]}) {
      const int64_t n = one.axes.at("n");
      CHECK(n >= 1);
      CHECK(n <= 2000000);  // two arrays, four million elements
      CHECK(one.hidden);
      sizes.insert(n);
    }
  }
  CHECK(sizes.size() > 50);
  CHECK(*sizes.rbegin() > 1000000);
}

TEST_CASE("the ends of the domain are always tried, each axis at its least alone too") {
  Task task = PickTask(0.5);
  task.domain = {{"n", {2, 3000}}, {"k", {1, 50}}};
  const std::vector<Case> cases = FullCases(task, 7).value();
  REQUIRE(cases.size() == 7);
  CHECK(cases[0].workload == "k=1, n=2");
  CHECK(cases[1].workload == "k=1");
  CHECK(cases[1].axes.at("n") > 2);
  CHECK(cases[2].workload == "n=2");
  CHECK(cases[3].workload == "k=50, n=3000");
  for (size_t i = 0; i < 4; ++i) CHECK_FALSE(cases[i].hidden);
  for (size_t i = 4; i < 7; ++i) CHECK(cases[i].hidden);
  task.domain = {{"n", {2, 2}}};
  CHECK(FullCases(task, 7).value().size() == 4);
}

TEST_CASE("a permutation holds every index once") {
  Task task = PickTask(0);
  task.arguments.pop_back();
  task.arguments[0].fill = {Fill::Kind::kPermutation, 0, 0, ""};
  const Arrays image = Filled(task, {"w", {{"n", 500}}, 1, false}, 1);
  std::vector<int32_t> values = Ints(image[0]);
  CHECK_FALSE(std::is_sorted(values.begin(), values.end()));
  std::sort(values.begin(), values.end());
  for (int32_t i = 0; i < 500; ++i) CHECK(values[static_cast<size_t>(i)] == i);
}

}  // namespace
}  // namespace kev
