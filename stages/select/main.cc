// kevolve-select: the stage process that decides what to try next.
#include "stages/select/select.h"

int main(int argc, char** argv) {
  kev::StageProgram program;
  program.program = "select";
  program.handler = [](std::string_view stage) -> kev::StageHandler {
    if (stage == "select") return kev::HandleSelect;
    return nullptr;
  };
  return kev::RunStage(argc, argv, program);
}
