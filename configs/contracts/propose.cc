#include "configs/contracts/contracts.h"

namespace kev {

std::vector<StageContract> ProposeContracts() {
  StageContract tune;
  tune.name = "propose/tune";
  tune.kind = StageKind::kPropose;
  tune.about =
      "Samples parameter assignments of the task's template variants, without repeating one. Takes "
      "a request "
      "(count, parents) and the history of the run; gives proposals with their source written out.";
  tune.settings = {
      {.name = "strategy",
       .type = FieldType::kString,
       .otherwise = "auto",
       .choices = {"auto", "random", "local"},
       .about = "random: uniform over valid assignments; local: changes one parameter of a good "
                "candidate; "
                "auto: random first, then a mix"},
  };
  tune.batch = 64;
  tune.stateful = true;
  tune.program = "propose";

  StageContract llm;
  llm.name = "propose/llm";
  llm.kind = StageKind::kPropose;
  llm.about =
      "Asks a model for a whole kernel over an OpenAI-compatible chat API. Takes a request "
      "(parents, hints) and the "
      "history of the run; gives at most one proposal. Without endpoint or model the step is "
      "disabled and its "
      "share goes to the other propose steps.";
  llm.settings = {
      {.name = "endpoint",
       .type = FieldType::kString,
       .otherwise = "",
       .about = "base URL, up to and including /v1; empty: the environment variable "
                "KEVOLVE_LLM_URL"},
      {.name = "model",
       .type = FieldType::kString,
       .otherwise = "",
       .about = "model name; empty: the environment variable KEVOLVE_LLM_MODEL"},
      {.name = "api_key_env",
       .type = FieldType::kString,
       .otherwise = "KEVOLVE_LLM_API_KEY",
       .about = "name of the environment variable that holds the key; the key itself never stands "
                "in a file"},
      {.name = "temperature",
       .type = FieldType::kDouble,
       .otherwise = 0.8,
       .least = 0,
       .most = 2,
       .about = "sampling temperature"},
      {.name = "max_tokens",
       .type = FieldType::kInt,
       .otherwise = 8192,
       .least = 64,
       .most = 1'000'000,
       .about = "most tokens of one answer"},
      {.name = "memory",
       .type = FieldType::kString,
       .otherwise = "both",
       .choices = {"none", "parent", "both"},
       .about = "what the prompt tells of the run: nothing; the parent and its measurements; also "
                "the last failures"},
  };
  llm.batch = 1;
  llm.stateful = true;
  llm.program = "propose";
  return {tune, llm};
}

}  // namespace kev
