// kevolve-propose: the stage process that proposes candidates, by tuning templates or by asking a
// model.
#include "stages/propose/llm.h"
#include "stages/propose/tune.h"

int main(int argc, char** argv) {
  kev::StageProgram program;
  program.program = "propose";
  program.handler = [](std::string_view stage) -> kev::StageHandler {
    if (stage == "propose/tune") return kev::HandleTune;
    if (stage == "propose/llm") return kev::HandleLlm;
    return nullptr;
  };
  return kev::RunStage(argc, argv, program);
}
