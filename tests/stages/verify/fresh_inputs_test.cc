#include "stages/verify/fresh_inputs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <tuple>

#include "engine/core/random.h"

namespace kev {
namespace {

Argument Input(const char* name, DType dtype, Fill::Kind kind, double a, double b) {
  Argument argument;
  argument.name = name;
  argument.dtype = dtype;
  Program length;
  length.code = {{Op::kLoad, 0}};
  length.names = {"n"};
  length.text.assign(1, 'n');
  argument.dims = {length};
  argument.fill = {kind, a, b, ""};
  return argument;
}

Task TaskOf(std::vector<Argument> arguments) {
  Task task;
  task.name = "made";
  task.axes = {"n"};
  task.arguments = std::move(arguments);
  return task;
}

Axes Shape(int64_t n) { return {{"n", n}}; }

template <typename T>
std::vector<T> Drawn(const FreshInputs& fresh, uint64_t draw, size_t argument, size_t count) {
  // The others are of the same length, and of 8 bytes at most.
  std::vector<std::string> bytes(3, std::string(count * 8, '\0'));
  bytes[argument].resize(count * sizeof(T));
  std::vector<std::span<char>> arrays(bytes.begin(), bytes.end());
  fresh.Fill(draw, arrays);
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes[argument].data(), count * sizeof(T));
  return values;
}

TEST_CASE("a draw gives the same values again, another draw none of them in its place") {
  const Task task = TaskOf({Input("x", DType::kF32, Fill::Kind::kNormal, 0, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(1000)).value();
  CHECK(fresh.Any());
  CHECK(fresh.Makes(0));
  const std::vector<float> one = Drawn<float>(fresh, 1, 0, 1000);
  CHECK(one == Drawn<float>(fresh, 1, 0, 1000));
  const std::vector<float> two = Drawn<float>(fresh, 2, 0, 1000);
  size_t same = 0;
  for (size_t i = 0; i < one.size(); ++i) same += one[i] == two[i] ? 1 : 0;
  CHECK(same < 5);
}

// The inverse of Mix64.
uint64_t Unmix64(uint64_t x) {
  x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642b2d24d8ec3;
  x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96de1b173f119089;
  return (x ^ (x >> 30) ^ (x >> 60)) - 0x9e3779b97f4a7c15;
}

TEST_CASE("a word that an element shows does not tell the next ones") {
  // They were a mixed counter once: a kernel turned a small element into its word, unmixed it, and
  // had the draw, with which it made all other inputs again instead of reading them.
  REQUIRE(Unmix64(Mix64(12345)) == 12345);
  const Task task = TaskOf({Input("x", DType::kF64, Fill::Kind::kUniform, 0, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(20000)).value();
  const std::vector<double> values = Drawn<double>(fresh, 1, 0, 20000);
  int told = 0;
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    if (values[i] > 0x1p-9) continue;  // of these the mantissa holds nearly all of the word
    const auto near = static_cast<uint64_t>(values[i] * 0x1p64);
    for (uint64_t word = near - 8; word <= near + 8; ++word) {
      for (const uint64_t next : {Mix64(Unmix64(word) + 0x9e3779b97f4a7c15), Mix64(word)})
        told += std::fabs(static_cast<double>(next) * 0x1p-64 - values[i + 1]) < 1e-12 ? 1 : 0;
    }
  }
  CHECK(told == 0);
}

TEST_CASE("two arrays of one draw share no words") {
  const Task task = TaskOf({Input("x", DType::kF64, Fill::Kind::kUniform, 0, 1),
                            Input("y", DType::kF64, Fill::Kind::kUniform, 0, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(2000)).value();
  std::set<double> values;
  for (size_t argument = 0; argument < 2; ++argument) {
    for (uint64_t draw = 0; draw < 3; ++draw) {
      const std::vector<double> some = Drawn<double>(fresh, draw, argument, 2000);
      values.insert(some.begin(), some.end());
    }
  }
  CHECK(values.size() == 2 * 3 * 2000);
}

TEST_CASE("rows of equal places do not come again, within 200 draws") {
  const Task task = TaskOf({Input("x", DType::kF32, Fill::Kind::kUniform, -1, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(512)).value();
  std::set<std::vector<float>> rows;
  for (uint64_t draw = 0; draw < 200; ++draw) {
    const std::vector<float> values = Drawn<float>(fresh, draw, 0, 512);
    for (size_t row = 0; row < 32; ++row)
      rows.insert({values.begin() + static_cast<ptrdiff_t>(row) * 16,
                   values.begin() + static_cast<ptrdiff_t>(row) * 16 + 16});
  }
  CHECK(rows.size() == 200 * 32);
}

TEST_CASE("values keep the distribution and the range of the fill") {
  const Task task = TaskOf({Input("u", DType::kF32, Fill::Kind::kUniform, 0.3, 0.9),
                            Input("g", DType::kF64, Fill::Kind::kNormal, 2, 3),
                            Input("i", DType::kI32, Fill::Kind::kUniform, -4, 4)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(4001)).value();
  double least = 1, most = 0, sum = 0, squares = 0;
  int lowest = 9, highest = -9;
  for (uint64_t draw = 0; draw < 20; ++draw) {
    for (const float value : Drawn<float>(fresh, draw, 0, 4001)) {
      least = std::min<double>(least, value);
      most = std::max<double>(most, value);
    }
    for (const double value : Drawn<double>(fresh, draw, 1, 4001)) {
      sum += value;
      squares += value * value;
    }
    for (const int32_t value : Drawn<int32_t>(fresh, draw, 2, 4001)) {
      lowest = std::min(lowest, value);
      highest = std::max(highest, value);
    }
  }
  CHECK(least >= 0.3);
  CHECK(most <= 0.9);
  CHECK(least < 0.301);
  CHECK(most > 0.899);
  const double count = 20 * 4001, mean = sum / count;
  CHECK(mean == doctest::Approx(2).epsilon(0.03));
  CHECK(std::sqrt(squares / count - mean * mean) == doctest::Approx(3).epsilon(0.02));
  CHECK(lowest == -4);
  CHECK(highest == 4);
}

TEST_CASE("tables of every fill are made afresh, and what is picked from them too") {
  // A permutation that was picked from, and the picks, were the same in all calls once, so that a
  // kernel kept the places it had found.
  for (const auto& [dtype, kind, a, b] :
       {std::tuple(DType::kI32, Fill::Kind::kPermutation, 0.0, 0.0),
        {DType::kI64, Fill::Kind::kUniform, -1e6, 1e6},
        {DType::kU8, Fill::Kind::kUniform, 3.0, 90.0},
        {DType::kF32, Fill::Kind::kNormal, 0.0, 1.0},
        {DType::kF64, Fill::Kind::kUniform, 2.0, 3.0},
        {DType::kF16, Fill::Kind::kUniform, 0.0, 1.0}}) {
    CAPTURE(Name(dtype));
    Argument picked = Input("picked", dtype, Fill::Kind::kPickFrom, 0.75, 0);
    picked.fill.argument = "table";
    Argument again = Input("again", dtype, Fill::Kind::kPickFrom, 1, 0);
    again.fill.argument = "picked";
    const Task task = TaskOf({Input("table", dtype, kind, a, b), picked, again});
    const FreshInputs fresh = FreshInputs::Make(task, Shape(2000)).value();
    CHECK(fresh.Any());
    std::set<std::string> tables, picks;
    const uint64_t size = SizeOf(dtype);
    int present = 0;
    for (uint64_t draw = 0; draw < 20; ++draw) {
      std::vector<std::string> bytes(3, std::string(2000 * size, '\0'));
      fresh.Fill(draw, {bytes.begin(), bytes.end()});
      tables.insert(bytes[0]);
      picks.insert(bytes[1]);
      std::set<std::string> values, first;
      for (uint64_t i = 0; i < 2000; ++i) {
        values.insert(bytes[0].substr(i * size, size));
        first.insert(bytes[1].substr(i * size, size));
      }
      for (uint64_t i = 0; i < 2000; ++i) {
        present += values.contains(bytes[1].substr(i * size, size)) ? 1 : 0;
        REQUIRE(first.contains(bytes[2].substr(i * size, size)));
      }
    }
    CHECK(tables.size() == 20);
    CHECK(picks.size() == 20);
    CHECK(present >= 29500);
    // A permutation of 2000 leaves 16 values that are not in it, often not found in all tries.
    CHECK(present < 37000);
  }
}

TEST_CASE("picks are made from a constant's values, which the caller gives") {
  Argument table = Input("table", DType::kI32, Fill::Kind::kUniform, 0, 1000);
  table.constant = true;
  Argument picked = Input("picked", DType::kI32, Fill::Kind::kPickFrom, 1, 0);
  picked.fill.argument = "table";
  const FreshInputs fresh = FreshInputs::Make(TaskOf({table, picked}), Shape(500)).value();
  CHECK(fresh.Any());
  CHECK_FALSE(fresh.Makes(0));
  CHECK(fresh.Makes(1));
  std::string given(2000, '\0');
  for (int32_t i = 0; i < 500; ++i) std::memcpy(given.data() + 4 * i, &i, 4);
  std::set<std::vector<int32_t>> drawn;
  for (uint64_t draw = 0; draw < 20; ++draw) {
    std::vector<int32_t> values(500, -1);
    fresh.Fill(draw, {{}, {reinterpret_cast<char*>(values.data()), 2000}}, {given, ""});
    for (const int32_t value : values) REQUIRE((value >= 0 && value < 500));
    drawn.insert(values);
  }
  CHECK(drawn.size() == 20);
}

TEST_CASE("one input that stays as it was is enough that none counts as fresh") {
  const Argument wide = Input("wide", DType::kI64, Fill::Kind::kUniform, -0x1p63, 0x1p63);
  const Argument fine = Input("fine", DType::kF32, Fill::Kind::kNormal, 0, 1);
  Argument picked = Input("picked", DType::kI64, Fill::Kind::kPickFrom, 1, 0);
  picked.fill.argument = "wide";
  CHECK(FreshInputs::Make(TaskOf({fine}), Shape(64)).value().Any());
  CHECK_FALSE(FreshInputs::Make(TaskOf({fine, wide}), Shape(64)).value().Any());
  const FreshInputs both = FreshInputs::Make(TaskOf({wide, picked}), Shape(64)).value();
  CHECK_FALSE(both.Makes(0));
  CHECK_FALSE(both.Makes(1));
  Argument constant = wide;
  constant.constant = true;
  CHECK_FALSE(FreshInputs::Make(TaskOf({constant}), Shape(64)).value().Any());
  CHECK(FreshInputs::Make(TaskOf({constant, fine}), Shape(64)).value().Any());
}

TEST_CASE("no value comes again: nothing can be remembered by element") {
  const Task task = TaskOf({Input("x", DType::kF32, Fill::Kind::kNormal, 0, 1),
                            Input("i", DType::kI32, Fill::Kind::kUniform, 1, 2e9)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(4000)).value();
  std::set<float> reals;
  std::set<int32_t> integers;
  double close = 0;
  for (uint64_t draw = 0; draw < 25; ++draw) {
    for (const float value : Drawn<float>(fresh, draw, 0, 4000)) {
      // Not even a near neighbour, of which first-order corrections could be made.
      const auto next = reals.lower_bound(value);
      close += next != reals.end() && *next - value < 1e-7f ? 1 : 0;
      reals.insert(value);
    }
    const std::vector<int32_t> drawn = Drawn<int32_t>(fresh, draw, 1, 4000);
    integers.insert(drawn.begin(), drawn.end());
  }
  CHECK(reals.size() > 99000);
  CHECK(close < 3000);
  CHECK(integers.size() > 99900);
}

TEST_CASE("half precision follows the fill, too") {
  const Task task = TaskOf({Input("h", DType::kF16, Fill::Kind::kNormal, 2, 3),
                            Input("b", DType::kBF16, Fill::Kind::kUniform, 0.5, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(4000)).value();
  CHECK(fresh.Any());
  for (const auto& [argument, dtype, mean] :
       {std::tuple(size_t{0}, DType::kF16, 2.0), {size_t{1}, DType::kBF16, 0.75}}) {
    double sum = 0;
    for (uint64_t draw = 0; draw < 20; ++draw) {
      for (const uint16_t bits : Drawn<uint16_t>(fresh, draw, argument, 4000))
        sum += ToDouble(dtype, &bits);
    }
    CHECK(sum / 80000 == doctest::Approx(mean).epsilon(0.03));
  }
}

TEST_CASE("a sorted table has other gaps in each draw, and what is picked from it is picked anew") {
  // What is picked may come first.
  Argument picked = Input("picked", DType::kI32, Fill::Kind::kPickFrom, 0.75, 0);
  picked.fill.argument = "table";
  const Task task = TaskOf({picked, Input("table", DType::kI32, Fill::Kind::kSortedUnique, 0, 0)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(2000)).value();
  CHECK(fresh.Any());
  std::set<std::vector<int32_t>> tables;
  double present = 0, below = 0, gaps = 0;
  for (uint64_t draw = 0; draw < 50; ++draw) {
    std::vector<int32_t> values(2000), table(2000);
    const auto span = [](std::vector<int32_t>& of) {
      return std::span<char>(reinterpret_cast<char*>(of.data()), of.size() * 4);
    };
    fresh.Fill(draw, {span(values), span(table)});
    tables.insert(table);
    CHECK(table.front() >= 1);
    for (size_t i = 1; i < table.size(); ++i) REQUIRE(table[i] > table[i - 1]);
    gaps += table.back() / 2000.0;
    for (const int32_t value : values) {
      present += std::binary_search(table.begin(), table.end(), value) ? 1 : 0;
      below += value < table[1000] ? 1 : 0;
      REQUIRE(value >= std::max(table.front() - 8, 0));
      REQUIRE(value <= table.back() + 8);
    }
  }
  CHECK(tables.size() == 50);
  CHECK(gaps / 50 == doctest::Approx(4.5).epsilon(0.02));
  CHECK(present / 100000 == doctest::Approx(0.75).epsilon(0.02));
  CHECK(below / 100000 == doctest::Approx(0.5).epsilon(0.03));
}

TEST_CASE("a table without room between its values still has none twice") {
  const Task task = TaskOf({Input("table", DType::kU8, Fill::Kind::kSortedUnique, 0, 0)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(250)).value();
  CHECK_FALSE(fresh.Any());
  const std::vector<uint8_t> table = Drawn<uint8_t>(fresh, 1, 0, 250);
  CHECK(std::set<uint8_t>(table.begin(), table.end()).size() == 250);
}

TEST_CASE("a permutation has all places, in another order in each draw") {
  const Task task = TaskOf({Input("order", DType::kI64, Fill::Kind::kPermutation, 0, 0)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(100)).value();
  CHECK(fresh.Any());
  std::set<std::vector<int64_t>> orders;
  for (uint64_t draw = 0; draw < 50; ++draw) {
    std::vector<int64_t> order = Drawn<int64_t>(fresh, draw, 0, 100);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 100; ++i) REQUIRE(order[static_cast<size_t>(i)] == i);
  }
  CHECK(orders.size() == 50);
}

TEST_CASE("few integers are not enough to be sure that no two draws are alike") {
  const Task task = TaskOf({Input("i", DType::kI8, Fill::Kind::kUniform, 0, 1)});
  CHECK_FALSE(FreshInputs::Make(task, Shape(8)).value().Any());
  const FreshInputs many = FreshInputs::Make(task, Shape(1024)).value();
  CHECK(many.Any());
  std::set<std::vector<int8_t>> draws;
  for (uint64_t draw = 0; draw < 200; ++draw) draws.insert(Drawn<int8_t>(many, draw, 0, 1024));
  CHECK(draws.size() == 200);
}

TEST_CASE("an array of one element still changes from draw to draw") {
  const Task task = TaskOf({Input("x", DType::kF32, Fill::Kind::kNormal, 0, 1)});
  const FreshInputs fresh = FreshInputs::Make(task, Shape(1)).value();
  std::set<float> values;
  for (uint64_t draw = 0; draw < 100; ++draw) values.insert(Drawn<float>(fresh, draw, 0, 1)[0]);
  CHECK(values.size() > 90);
}

}  // namespace
}  // namespace kev
