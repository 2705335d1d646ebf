// Natural loops of a function: basic blocks, dominators (Cooper, Harvey and Kennedy 2001, "A
// Simple, Fast Dominance Algorithm"), back edges.
#include <algorithm>
#include <map>
#include <set>

#include "runners/analysis/loops.h"

namespace kev {
namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

struct Block {
  size_t first = 0, last = 0;  // instructions, both included
  std::vector<size_t> next, previous;
};

bool EndsPath(const MachineInstruction& instruction) {
  const std::string& m = instruction.mnemonic;
  return m.ends_with("jmp") || m.ends_with("ret") || m.ends_with("retq") || m == "ud2" ||
         m == "hlt";
}

size_t IndexOf(const Function& function, uint64_t address) {
  const auto& code = function.instructions;
  const auto it =
      std::lower_bound(code.begin(), code.end(), address,
                       [](const MachineInstruction& i, uint64_t at) { return i.address < at; });
  return it != code.end() && it->address == address ? static_cast<size_t>(it - code.begin())
                                                    : kNone;
}

// Where a branch of this function leads to inside it.
size_t TargetOf(const Function& function, const MachineInstruction& instruction) {
  if (!instruction.IsBranch() || !instruction.target) return kNone;
  return IndexOf(function, *instruction.target);
}

std::vector<Block> BlocksOf(const Function& function) {
  const auto& code = function.instructions;
  std::set<size_t> leaders = {0};
  for (size_t i = 0; i < code.size(); ++i) {
    if (const size_t target = TargetOf(function, code[i]); target != kNone) leaders.insert(target);
    if (code[i].IsBranch() || EndsPath(code[i])) leaders.insert(i + 1);
  }
  leaders.erase(code.size());
  std::vector<Block> blocks;
  std::map<size_t, size_t> block_at;
  for (auto it = leaders.begin(); it != leaders.end(); ++it) {
    block_at[*it] = blocks.size();
    const auto after = std::next(it);
    blocks.push_back({*it, (after == leaders.end() ? code.size() : *after) - 1, {}, {}});
  }
  for (size_t b = 0; b < blocks.size(); ++b) {
    const MachineInstruction& last = code[blocks[b].last];
    if (const size_t target = TargetOf(function, last); target != kNone)
      blocks[b].next.push_back(block_at[target]);
    if (!EndsPath(last) && b + 1 < blocks.size()) blocks[b].next.push_back(b + 1);
    for (const size_t n : blocks[b].next) blocks[n].previous.push_back(b);
  }
  return blocks;
}

class Dominators {
 public:
  explicit Dominators(const std::vector<Block>& blocks)
      : blocks_(blocks),
        number_(blocks.size(), kNone),
        parent_(blocks.size(), kNone),
        root_(blocks.size(), kNone) {
    // What the entry does not lead to (padding, landing pads, targets of indirect jumps) is a part
    // of its own; edges from it into an earlier part do not count, or padding before a loop would
    // be a second way in.
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (number_[b] == kNone) Visit(b);
    }
    std::reverse(order_.begin(), order_.end());
    for (size_t i = 0; i < order_.size(); ++i) number_[order_[i]] = i;
    Solve();
  }

  bool Dominates(size_t above, size_t below) const {
    for (; below != kNone; below = parent_[below]) {
      if (below == above) return true;
    }
    return false;
  }

 private:
  // Postorder without recursion: functions can have many blocks.
  void Visit(size_t root) {
    std::vector<std::pair<size_t, size_t>> stack = {{root, 0}};
    number_[root] = 0;
    root_[root] = root;
    while (!stack.empty()) {
      auto& [block, child] = stack.back();
      if (child == blocks_[block].next.size()) {
        order_.push_back(block);
        stack.pop_back();
        continue;
      }
      const size_t next = blocks_[block].next[child++];
      if (number_[next] != kNone) continue;
      number_[next] = 0;
      root_[next] = root;
      stack.push_back({next, 0});
    }
  }

  size_t Meet(size_t a, size_t b) const {
    while (a != b) {
      if (number_[a] > number_[b])
        a = parent_[a];
      else
        b = parent_[b];
    }
    return a;
  }

  void Solve() {
    std::vector<bool> known(blocks_.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (const size_t block : order_) {
        size_t parent = kNone;
        for (const size_t previous : blocks_[block].previous) {
          if (root_[block] == block || !known[previous] || root_[previous] != root_[block])
            continue;
          parent = parent == kNone ? previous : Meet(parent, previous);
        }
        changed = changed || !known[block] || parent != parent_[block];
        known[block] = true;
        parent_[block] = parent;
      }
    }
  }

  const std::vector<Block>& blocks_;
  std::vector<size_t> number_, parent_, root_, order_;
};

using Body = std::set<size_t>;  // blocks

// The blocks that reach `tail` without passing `header`, padding in between left out.
void AddBody(const std::vector<Block>& blocks, const Dominators& dominators, size_t header,
             size_t tail, Body* body) {
  body->insert(header);
  std::vector<size_t> open = {tail};
  while (!open.empty()) {
    const size_t block = open.back();
    open.pop_back();
    if (!dominators.Dominates(header, block) || !body->insert(block).second) continue;
    open.insert(open.end(), blocks[block].previous.begin(), blocks[block].previous.end());
  }
}

std::vector<Loop> LoopsOf(const Function& function, size_t index) {
  if (function.instructions.empty()) return {};
  const std::vector<Block> blocks = BlocksOf(function);
  const Dominators dominators(blocks);
  std::map<size_t, Body> bodies;  // by header: several branches back to one block are one loop
  for (size_t tail = 0; tail < blocks.size(); ++tail) {
    for (const size_t header : blocks[tail].next) {
      if (dominators.Dominates(header, tail))
        AddBody(blocks, dominators, header, tail, &bodies[header]);
    }
  }
  std::vector<Loop> loops;
  for (const auto& [header, body] : bodies) {
    Loop loop{index, blocks[header].first, {}, 1, true};
    for (const size_t block : body) {
      for (size_t i = blocks[block].first; i <= blocks[block].last; ++i)
        loop.instructions.push_back(i);
    }
    for (const auto& [other, outer] : bodies) {
      if (other == header) continue;
      if (outer.count(header) != 0) ++loop.depth;
      if (body.count(other) != 0) loop.innermost = false;
    }
    loops.push_back(std::move(loop));
  }
  return loops;
}

}  // namespace

std::vector<Loop> FindLoops(const Disassembly& code, const std::vector<size_t>& functions) {
  std::vector<Loop> loops;
  for (const size_t index : functions) {
    const std::vector<Loop> found = LoopsOf(code.functions[index], index);
    loops.insert(loops.end(), found.begin(), found.end());
  }
  return loops;
}

}  // namespace kev
