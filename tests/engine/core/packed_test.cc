// The packed form: what is written is canonical, and what is read may be anything.
#include "engine/core/packed.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "engine/core/event.h"
#include "engine/core/random.h"
#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/random_run.h"
#include "tests/support/seeds.h"

namespace kev::testing {
namespace {

std::string RandomText(CounterRandom* random) {
  static constexpr size_t kLengths[] = {0, 1, 5, 31, 32, 255, 256};
  std::string text(kLengths[random->Below(std::size(kLengths))], 'x');
  for (char& c : text) c = static_cast<char>(random->Below(256));
  return text;
}

int64_t RandomInt(CounterRandom* random) {
  const int64_t i = static_cast<int64_t>(random->Next() >> random->Below(64));
  return random->Below(2) == 0 ? i : -i;
}

Value RandomValue(CounterRandom* random, int depth) {
  switch (random->Below(depth > 0 ? 8 : 6)) {
    case 0:
      return {};
    case 1:
      return random->Below(2) == 0;
    case 2:
      return RandomInt(random);
    case 3:
      return random->Unit() * 1e6;
    case 4:
      return RandomText(random);
    case 5:
      return Value::Bytes{RandomText(random)};
    case 6: {
      Value list = Value::List();
      for (uint64_t n = random->Below(20); n > 0; --n) list.Append(RandomValue(random, depth - 1));
      return list;
    }
    default: {
      Value map = Value::Map();
      for (uint64_t n = random->Below(20); n > 0; --n)
        map.Set(RandomText(random), RandomValue(random, depth - 1));
      return map;
    }
  }
}

BlobRef RandomBlob(CounterRandom* random) {
  BlobRef ref = RefOf(RandomText(random));
  ref.size = random->Next() >> (1 + random->Below(63));
  return ref;
}

Subject RandomSubject(CounterRandom* random) {
  return {static_cast<SubjectKind>(random->Below(3)),
          1 + static_cast<uint32_t>(random->Below(1u << 31))};
}

Artefact RandomArtefact(CounterRandom* random) {
  return {RandomText(random), RandomText(random), "cubin", RandomBlob(random),
          random->Below(2) == 0 ? Value() : RandomValue(random, 2)};
}

Proposal RandomProposal(CounterRandom* random) {
  Proposal p;
  p.variant = RandomText(random);
  p.parameters = RandomValue(random, 1);
  p.source = RandomBlob(random);
  p.source_name = RandomText(random);
  for (uint64_t n = random->Below(3); n > 0; --n) p.parents.push_back(RandomSubject(random));
  p.note = RandomText(random);
  return p;
}

JobResult RandomResult(CounterRandom* random) {
  JobResult r;
  if (random->Below(4) == 0)
    r.failure = Failure{static_cast<FailureClass>(random->Below(5)), RandomText(random)};
  r.verdict = static_cast<Verdict>(random->Below(13));
  r.message = RandomText(random);
  r.facts = RandomValue(random, 3);
  if (random->Below(2) == 0)
    r.usage = {RandomInt(random), RandomInt(random), random->Unit(), random->Unit(), 0};
  r.cached = random->Below(2) == 0;
  for (uint64_t n = random->Below(3); n > 0; --n) r.artefacts.push_back(RandomArtefact(random));
  for (uint64_t n = random->Below(20); n > 0; --n) r.blobs[RandomText(random)] = RandomBlob(random);
  for (uint64_t n = random->Below(3); n > 0; --n) r.proposals.push_back(RandomProposal(random));
  for (uint64_t n = random->Below(3); n > 0; --n)
    r.requests.push_back({RandomText(random),
                          static_cast<uint32_t>(random->Below(9)),
                          {RandomSubject(random)},
                          RandomValue(random, 1)});
  r.exhausted = random->Below(2) == 0;
  return r;
}

Job RandomJob(CounterRandom* random) {
  Job j;
  j.run = "run " + RandomText(random);
  j.key = {RandomSubject(random), static_cast<uint16_t>(random->Below(65536)),
           static_cast<uint16_t>(random->Below(65536))};
  j.attempt = static_cast<uint32_t>(random->Below(1000));
  j.label = RandomText(random);
  j.step = RandomText(random);
  j.stage = RandomText(random);
  j.settings = RandomValue(random, 2);
  if (random->Below(2) == 0) j.context = RandomBlob(random);
  j.target = RandomText(random);
  j.seed = random->Next();
  j.history_seq = random->Below(1000000);
  j.running_limit_ms = static_cast<uint32_t>(random->Below(2) * random->Below(100000));
  if (random->Below(2) == 0) {
    CandidateView& c = j.candidate.emplace();
    c.id = RandomSubject(random);
    c.name = RandomText(random);
    c.origin = RandomText(random);
    c.parents = {RandomSubject(random)};
    c.variant = RandomText(random);
    c.parameters = RandomValue(random, 1);
    if (random->Below(2) == 0) c.source = RandomBlob(random);
    c.source_name = RandomText(random);
    c.facts = RandomValue(random, 2);
  }
  for (uint64_t n = random->Below(20); n > 0; --n) j.artefacts.push_back(RandomArtefact(random));
  if (random->Below(2) == 0) j.request = Request{RandomText(random), 3, {}, RandomValue(random, 1)};
  j.item = RandomValue(random, 1);
  j.places = RandomValue(random, 1);
  j.secret = RandomValue(random, 1);
  return j;
}

Event RandomEvent(CounterRandom* random, uint64_t seed) {
  const JobKey key = RandomJob(random).key;
  const auto attempt = static_cast<uint32_t>(random->Below(70000));
  switch (random->Below(11)) {
    case 0:
      return RunSubmitted{RandomPlan(seed), RandomValue(random, 1)};
    case 1:
      return JobReported{key, attempt, RandomResult(random), RandomText(random)};
    case 2:
      return AttemptLost{key,
                         attempt,
                         static_cast<AttemptLost::Reason>(random->Below(3)),
                         random->Below(2) == 0,
                         random->Below(2) == 0,
                         RandomText(random)};
    case 3:
      return AttemptTimedOut{key, attempt, static_cast<AttemptTimedOut::Kind>(random->Below(3))};
    case 4:
      return Signal{static_cast<Signal::Kind>(random->Below(7)), RandomValue(random, 2)};
    case 5:
      return StepDisabled{RandomText(random), RandomText(random)};
    case 6:
      return InFlightSet{attempt};
    case 7:
      return EpochBegun{random->Below(1000), 2};
    case 8:
      return OpenAttemptsLost{{{key, attempt}, {key, attempt}}, RandomText(random)};
    case 9:
      return CandidatesGiven{{RandomProposal(random), RandomProposal(random)},
                             random->Below(2) == 0};
    default:
      return TimePassed{};
  }
}

// That the bytes are the canonical ones of the value that they hold, as an independent reader has
// it.
void CheckCanonical(const std::string& bytes) {
  const auto value = ReadCanonical(bytes);
  REQUIRE(value.has_value());
  REQUIRE(EncodeCanonical(*value) == bytes);
  REQUIRE(PackedView(bytes).ToValue() == *value);
  REQUIRE(PackedView(bytes).bytes() == bytes);
}

template <typename T>
std::string Encoded(const T& thing) {
  std::string bytes;
  Encode(thing, &bytes);
  return bytes;
}

TEST_CASE("every encoder writes the canonical bytes of its value, and they can be read back") {
  for (uint64_t seed = 1; seed <= Seeds(200); ++seed) {
    CAPTURE(seed);
    CounterRandom random(seed, "encode");
    CheckCanonical(EncodeCanonical(RandomValue(&random, 4)));
    CheckCanonical(Encoded(RandomBlob(&random)));
    const Artefact artefact = RandomArtefact(&random);
    CheckCanonical(Encoded(artefact));
    REQUIRE(EncodeCanonical(ToValue(artefact)) == Encoded(artefact));
    CheckCanonical(Encoded(RandomProposal(&random)));
    const std::string job = Encoded(RandomJob(&random));
    CheckCanonical(job);
    const auto job_again = JobFrom(PackedView(job));
    REQUIRE(job_again.ok());
    REQUIRE(Encoded(*job_again) == job);
    const std::string result = Encoded(RandomResult(&random));
    CheckCanonical(result);
    // What is said of a failure is said once: the rest of such a result is kept as it came.
    const auto result_again = JobResultFrom(PackedView(result));
    REQUIRE(result_again.ok());
    REQUIRE(Encoded(*result_again) == result);
    EventGroup group{1 + random.Below(1000000), RandomInt(&random), {}, {}};
    for (uint64_t n = 1 + random.Below(20); n > 0; --n)
      group.events.push_back(RandomEvent(&random, seed));
    const std::string bytes = Encoded(group);
    CheckCanonical(bytes);
    const auto group_again = EventGroupFrom(PackedView(bytes));
    REQUIRE_MESSAGE(group_again.ok(), group_again.error().message);
    REQUIRE(Encoded(*group_again) == bytes);
  }
}

TEST_CASE("heads of all lengths are the shortest there are") {
  for (const int64_t edge :
       {int64_t{0}, int64_t{31}, int64_t{127}, int64_t{255}, int64_t{32767}, int64_t{65535},
        int64_t{2147483647}, int64_t{4294967295}, INT64_MAX - 1}) {
    for (const int64_t i : {edge - 1, edge, edge + 1, -edge - 1, -edge, -edge + 1}) {
      std::string bytes;
      PackedWriter(&bytes).Int(i);
      CheckCanonical(bytes);
      CHECK(PackedView(bytes).AsInt() == i);
    }
  }
  for (const size_t length : {0, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000}) {
    CAPTURE(length);
    std::string text;
    PackedWriter(&text).Text(std::string(length, 'a'));
    CheckCanonical(text);
    CHECK(PackedView(text).AsString().size() == length);
    std::string bytes;
    PackedWriter(&bytes).Bytes(std::string(length, 'a'));
    CheckCanonical(bytes);
    CHECK(PackedView(bytes).AsBytes().size() == length);
    std::string list;
    PackedWriter(&list).List(length);
    list.append(length, '\xc0');
    CheckCanonical(list);
    CHECK(PackedView(list).size() == length);
    // Of a map whose size is known only at its end; its keys in order.
    std::string map;
    {
      PackedMap entries(&map);
      for (size_t i = 0; i < length; ++i) entries.Int("k" + std::to_string(1000000 + i), 1);
    }
    CheckCanonical(map);
    CHECK(PackedView(map).size() == length);
  }
}

TEST_CASE("numbers are read as what is asked for when that can be") {
  const auto view = [](const Value& v, auto ask) { return ask(PackedView(EncodeCanonical(v))); };
  CHECK(view(2.9, [](const PackedView& v) { return v.AsInt(); }) == 2);
  CHECK(view(1e300, [](const PackedView& v) { return v.AsInt(7); }) == 7);
  CHECK(view(3, [](const PackedView& v) { return v.AsDouble(); }) == 3.0);
  CHECK(view("3", [](const PackedView& v) { return v.AsInt(7); }) == 7);
  CHECK(view(true, [](const PackedView& v) { return v.AsInt(7); }) == 7);
  CHECK(view(3, [](const PackedView& v) { return v.AsBool(true); }));
  CHECK(view(3, [](const PackedView& v) { return v.AsString(); }).empty());
  CHECK(PackedView().IsNull());
  CHECK(PackedView()["x"].IsNull());
  CHECK_FALSE(PackedView().Has("x"));
  CHECK(PackedView().bytes().empty());
}

TEST_CASE("a list is gone through to its end, whatever its items hold") {
  const std::string bytes = EncodeCanonical(
      Value(Value::List{Value(Value::List{1, Value(Value::Map()), "x"}), Value(), 7}));
  PackedItems items{PackedView(bytes)};
  REQUIRE(items.Next());
  CHECK(items.value().size() == 3);
  REQUIRE(items.Next());
  CHECK(items.value().IsNull());
  REQUIRE(items.Next());
  CHECK(items.value().AsInt() == 7);
  CHECK_FALSE(items.Next());
  CHECK_FALSE(items.Next());
}

// Everything that can be asked of bytes. They stand alone in a block of their own, so that a tool
// that watches memory (ASan) sees whoever reads beyond.
void AskAll(std::string_view from) {
  const auto block = std::make_unique<char[]>(std::max<size_t>(1, from.size()));
  std::copy(from.begin(), from.end(), block.get());
  const std::string_view bytes(block.get(), from.size());
  const PackedView view(bytes);
  CHECK(view.bytes().size() <= bytes.size());
  static_cast<void>(view["event"]["plan"].AsString());
  static_cast<void>(view.Has("x"));
  size_t items = 0;
  for (PackedItems all(view); all.Next() && items < 10000; ++items) {
    CHECK(all.value().bytes().size() <= bytes.size());
    static_cast<void>(all.value().AsString());
  }
  CHECK(items <= bytes.size());
  static_cast<void>(EncodeCanonical(view.ToValue()));
  static_cast<void>(JobFrom(view));
  static_cast<void>(JobResultFrom(view));
  static_cast<void>(BlobRefFrom(view));
  static_cast<void>(ArtefactFrom(view));
  static_cast<void>(ProposalFrom(view));
  static_cast<void>(EventFrom(view));
  static_cast<void>(EventGroupFrom(view));
}

TEST_CASE("bytes that are cut short, changed or noise are never read beyond their end") {
  for (uint64_t seed = 1; seed <= Seeds(80); ++seed) {
    CAPTURE(seed);
    CounterRandom random(seed, "damage");
    EventGroup group{1, 5, {}, {}};
    for (int n = 0; n < 2; ++n) group.events.push_back(RandomEvent(&random, seed));
    const std::string kinds[] = {Encoded(group), Encoded(group.events[0]),
                                 Encoded(RandomJob(&random)), Encoded(RandomResult(&random)),
                                 EncodeCanonical(RandomValue(&random, 4))};
    for (const std::string& whole : kinds) {
      for (int n = 0; n < 30; ++n) {
        std::string bytes = whole.substr(0, random.Below(whole.size() + 1));
        AskAll(bytes);
        bytes = whole;
        for (uint64_t flips = 1 + random.Below(3); flips > 0; --flips)
          bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
        AskAll(bytes);
      }
    }
    std::string noise(random.Below(200), ' ');
    for (char& c : noise) c = static_cast<char>(random.Below(256));
    AskAll(noise);
  }
  // Sizes that promise more than there is.
  for (const char* head : {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
                           "\xc6\xff\xff\xff\xff", "\xdd\xff\xff", "\xcb\x01", "\xc1", "\xd9"}) {
    AskAll(head);
    AskAll(std::string(head) + "\x01\x02");
  }
  AskAll(std::string(100000, '\x91'));  // lists in lists in lists
  AskAll(std::string(100000, '\x81'));
}

}  // namespace
}  // namespace kev::testing
