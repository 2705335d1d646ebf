#include "tools/live/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kev {
namespace {

std::string Format(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string Ratio(double value) { return Format(value < 10 ? "%.2fx" : "%.1fx", value); }

std::string Pad(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string ScalarText(const Value& value) {
  return value.IsString() ? value.AsString() : ToJson(value);
}

std::string RefusedText(const RunCore& core) {
  std::string text;
  for (const auto& [verdict, count] : core.refused()) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + verdict;
  }
  return text;
}

std::string WorkloadTable(const Value& facts) {
  std::string text;
  const auto& workloads = facts["workloads"].AsMap();
  if (workloads.empty()) return text;
  text += "  " + Pad("workload", 24) + Pad("speed-up", 26) + Pad("latency", 12) +
          Pad("FLOP/s", 11) + "B/s\n";
  for (const bool held_out : {false, true}) {
    for (const auto& [name, w] : workloads) {
      if (w["held_out"].AsBool() != held_out) continue;
      text += "  " + Pad(name + (held_out ? " (held out)" : ""), 24);
      text += Pad(Ratio(w["speedup"].AsDouble()) + " [" + Ratio(w["low"].AsDouble()) + ", " +
                      Ratio(w["high"].AsDouble()) + "]",
                  26);
      text += Pad(FormatTime(w["latency_ns"].AsDouble()), 12);
      text += Pad(w["flops"].AsDouble() > 0 ? FormatRate(w["flops"].AsDouble()) : "-", 11);
      text += (w["bytes"].AsDouble() > 0 ? FormatRate(w["bytes"].AsDouble()) : "-") + "\n";
    }
  }
  return text;
}

}  // namespace

std::string FormatTime(double ns) {
  if (ns < 1e3) return Format("%.0f ns", ns);
  if (ns < 1e6) return Format("%.2f us", ns / 1e3);
  if (ns < 1e9) return Format("%.2f ms", ns / 1e6);
  return Format("%.2f s", ns / 1e9);
}

std::string FormatRate(double per_second) {
  if (per_second >= 1e12) return Format("%.2f T", per_second / 1e12);
  if (per_second >= 1e9) return Format("%.2f G", per_second / 1e9);
  if (per_second >= 1e6) return Format("%.1f M", per_second / 1e6);
  return Format("%.0f", per_second);
}

std::string FormatParameters(const Value& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.AsMap()) {
    text += (text.empty() ? "" : " ") + name + "=" + ScalarText(value);
  }
  return text;
}

const Value& WinningFacts(const RunCore& core) {
  static const Value kNone;
  if (!core.best()) return kNone;
  return core.claim().IsNull() ? core.best()->facts : core.claim();
}

Value Shrinkage(const RunCore& core) {
  if (!core.best() || core.claim().IsNull()) return Value();
  const Candidate& c = core.candidates()[core.best()->candidate.number - 1];
  Value figures;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    const Value& facts = c.steps[s].facts;
    if (core.plan().steps[s].kind == StageKind::kProfile &&
        facts["fidelity"].AsString() == "screen")
      figures.Set("screened", facts["speedup"]);
  }
  figures.Set("confirmed", core.best()->facts["speedup"]);
  figures.Set("claimed", core.claim()["speedup"]);
  return figures;
}

namespace {

// "screened 2.31x, confirmed 2.10x, claimed 2.05x: 11 % less than it was chosen for"
std::string ShrinkageText(const RunCore& core) {
  const Value figures = Shrinkage(core);
  std::string text;
  double first = 0;
  for (const char* name : {"screened", "confirmed", "claimed"}) {
    const double speedup = figures[name].AsDouble();
    if (speedup <= 0) continue;
    if (first == 0) first = speedup;
    text += (text.empty() ? "" : ", ") + std::string(name) + " " + Ratio(speedup);
  }
  if (first <= 0) return "";
  const double change = 100 * (figures["claimed"].AsDouble() / first - 1);
  return text + Format(change < 0 ? ": %.1f %% less than it was chosen for"
                                  : ": %.1f %% more than it was chosen for",
                       std::fabs(change));
}

}  // namespace

std::string ClosingReport(const RunCore& core, const std::string& source_path,
                          const std::string& command) {
  std::string text;
  const auto& ended = core.ended();
  text += "run " + core.run() + ": " + (ended ? ended->status : Name(core.phase()));
  if (ended && ended->stopped_by != ended->status) text += ", stopped by " + ended->stopped_by;
  text += Format(" after %.1f s\n", static_cast<double>(core.run_time_ms()) / 1e3);
  if (ended && !ended->message.empty()) text += "  " + ended->message + "\n";
  text += "  searched    " + std::to_string(core.candidates().size()) + " candidates, " +
          std::to_string(core.evaluated()) + " evaluated";
  const std::string refused = RefusedText(core);
  text += refused.empty() ? "\n" : "; refused: " + refused + "\n";
  for (const auto& [step, reason] : core.disabled())
    text += "  disabled    " + step + ": " + reason + "\n";
  const Value& facts = WinningFacts(core);
  if (facts.IsNull()) {
    if (ended && ended->status == "done") {
      text += "  No candidate was confirmed to be right and measured. `kevolve show " + core.run() +
              "` says what became of each.\n";
    }
    return text;
  }
  const Candidate& c = core.candidates()[core.best()->candidate.number - 1];
  text += "  best        " + c.view.name +
          (c.view.variant.empty() ? "" : ", variant " + c.view.variant) + ", proposed by " +
          c.view.origin + "\n";
  if (!c.view.parameters.AsMap().empty())
    text += "  parameters  " + FormatParameters(c.view.parameters) + "\n";
  text += "  speed-up    " + Ratio(facts["speedup"].AsDouble()) + "  95 % interval [" +
          Ratio(facts["speedup_low"].AsDouble()) + ", " + Ratio(facts["speedup_high"].AsDouble()) +
          "] against '" + facts["baseline"].AsString() + "', the strongest baseline\n";
  text += std::string("              ") +
          (core.claim().IsNull() ? "from the confirming measurement"
                                 : "measured afresh after the search was over") +
          ", " + std::to_string(facts["launches"].AsInt()) + " launches each, A/A band " +
          Format("+-%.1f %%", 100 * (std::exp(facts["aa_band"].AsDouble()) - 1)) +
          ", trust level " + facts["trust"].AsString() + "\n";
  std::string against;
  for (const auto& [name, ratio] : facts["speedup_vs"].AsMap()) {
    against += (against.empty() ? "" : ", ") + name + " " + Ratio(ratio.AsDouble());
  }
  if (!against.empty()) text += "  against     " + against + "\n";
  std::string beside;
  for (const auto& [name, rival] : facts["head_to_head"].AsMap()) {
    beside += (beside.empty() ? "" : ", ") + name + " ";
    beside += rival.Has("refused")
                  ? "refused: " + rival["refused"].AsString()
                  : Ratio(rival["speedup"].AsDouble()) + " [" + Ratio(rival["low"].AsDouble()) +
                        ", " + Ratio(rival["high"].AsDouble()) + "]";
  }
  if (!beside.empty()) text += "  head to head " + beside + "\n";
  if (const std::string fell = ShrinkageText(core); !fell.empty())
    text += "  shrinkage   " + fell + "\n";
  if (core.held_out_looks() > 0)
    text += "  held out    " + std::to_string(core.held_out_looks()) +
            " full checks have met the held-out shapes\n";
  if (facts["speedup_low"].AsDouble() <= std::exp(facts["aa_band"].AsDouble())) {
    text +=
        "  note        not shown to be faster than the strongest baseline: the interval reaches 1 "
        "+ the A/A band\n";
  }
  text += WorkloadTable(facts);
  if (!source_path.empty()) text += "  source      " + source_path + "\n";
  text += "  show again  " + command + " show " + core.run() + "\n";
  text += "  replay      " + command + " replay " + core.run() + "\n";
  return text;
}

Value DoneLine(const RunCore& core, const std::string& source_path) {
  Value v;
  v.Set("event", "done");
  v.Set("run", core.run());
  v.Set("status", core.ended() ? core.ended()->status : std::string("interrupted"));
  v.Set("stopped_by", core.ended() ? core.ended()->stopped_by : std::string("interrupted"));
  if (core.ended() && !core.ended()->message.empty()) v.Set("message", core.ended()->message);
  v.Set("candidates", static_cast<int64_t>(core.candidates().size()));
  v.Set("evaluated", core.evaluated());
  v.Set("held_out_looks", core.held_out_looks());
  Value refused = Value::Map();
  for (const auto& [verdict, count] : core.refused()) refused.Set(verdict, count);
  v.Set("refused", std::move(refused));
  v.Set("run_time_ms", core.run_time_ms());
  const Value& facts = WinningFacts(core);
  if (facts.IsNull()) {
    v.Set("best", Value());
    return v;
  }
  const Candidate& c = core.candidates()[core.best()->candidate.number - 1];
  Value best;
  best.Set("candidate", c.view.name);
  best.Set("origin", c.view.origin);
  best.Set("variant", c.view.variant);
  for (const char* key : {"speedup", "speedup_low", "speedup_high", "speedup_vs", "baseline",
                          "aa_band", "trust", "workloads", "head_to_head"}) {
    best.Set(key, facts[key]);
  }
  best.Set("parameters", c.view.parameters.IsNull() ? Value(Value::Map()) : c.view.parameters);
  best.Set("source", source_path);
  best.Set("confirmed_afresh", !core.claim().IsNull());
  best.Set("shrinkage", Shrinkage(core));
  v.Set("best", std::move(best));
  return v;
}

std::string CandidateReport(const RunCore& core, Subject subject) {
  const Value record = core.CandidateRecord(subject);
  std::string text =
      record["id"].AsString() + " " + record["name"].AsString() + ": " + record["state"].AsString();
  if (record.Has("verdict")) text += ", " + record["verdict"].AsString();
  if (record.Has("message")) text += " (" + record["message"].AsString() + ")";
  text += "\n";
  for (const char* key : {"origin", "variant", "note", "source_name", "source"}) {
    if (record.Has(key)) text += "  " + Pad(key, 12) + ScalarText(record[key]) + "\n";
  }
  if (record.Has("parents")) {
    text += "  parents     ";
    for (const Value& p : record["parents"].AsList()) text += p.AsString() + " ";
    text += "\n";
  }
  if (record.Has("parameters"))
    text += "  parameters  " + FormatParameters(record["parameters"]) + "\n";
  if (record.Has("step"))
    text += "  step        " + record["step"].AsString() + ", asked for " +
            ToJson(record["count"]) + "\n";
  const auto outcome = [&](const std::string& step, const Value& o) {
    text += "  " + step + ": " + o["state"].AsString();
    if (o.Has("verdict")) text += ", " + o["verdict"].AsString();
    if (o.Has("attempt")) text += ", attempt " + ToJson(o["attempt"]);
    if (o["cached"].AsBool()) text += ", cached";
    if (o.Has("worker")) text += ", by " + o["worker"].AsString();
    text += "\n";
    if (o.Has("message")) text += "    " + o["message"].AsString() + "\n";
    for (const auto& [name, value] : o["facts"].AsMap()) {
      if (name != "workloads") text += "    " + Pad(name, 16) + ScalarText(value) + "\n";
    }
    text += WorkloadTable(o["facts"]);
    for (const auto& [name, sha] : o["blobs"].AsMap())
      text += "    blob " + Pad(name, 11) + sha.AsString() + "\n";
  };
  if (record.Has("outcome")) outcome(record["step"].AsString(), record["outcome"]);
  for (const auto& [step, o] : record["steps"].AsMap()) outcome(step, o);
  return text;
}

}  // namespace kev
