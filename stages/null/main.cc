// kevolve-null [--only STAGE] …: the null stages, all of them or one.
#include <cstring>
#include <string>
#include <vector>

#include "stages/null/null_stage.h"

int main(int argc, char** argv) {
  std::string only;
  std::vector<char*> words(argv, argv + argc);
  if (argc >= 3 && std::strcmp(argv[1], "--only") == 0) {
    only = argv[2];
    words.erase(words.begin() + 1, words.begin() + 3);
  }
  return kev::RunStage(static_cast<int>(words.size()), words.data(),
                       {.program = "null",
                        .handler =
                            [only](std::string_view stage) {
                              return only.empty() || stage == only ? kev::NullHandler(stage)
                                                                   : kev::StageHandler();
                            },
                        .keep_ended = false});
}
