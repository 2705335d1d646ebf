// Kept: things numbered from 1, of which ended ones may have been let go to save memory.
//
// Threads: plain values. Errors: reading one that was let go is a programming error; Find says
// whether it is there.
#ifndef KEV_ENGINE_CORE_KEPT_H_
#define KEV_ENGINE_CORE_KEPT_H_

#include <cstddef>
#include <memory>
#include <vector>

namespace kev {

template <typename T>
class Kept {
 public:
  // Numbered so far, let go or not.
  size_t size() const { return things_.size(); }
  bool empty() const { return things_.empty(); }
  // By position: number - 1.
  T& operator[](size_t i) { return *things_[i]; }
  const T& operator[](size_t i) const { return *things_[i]; }
  const T& at(size_t i) const { return *things_.at(i); }
  T& back() { return *things_.back(); }
  const T& back() const { return *things_.back(); }
  // By number; null when there is none, or when it was let go.
  T* Find(size_t number) {
    return number == 0 || number > things_.size() ? nullptr : things_[number - 1].get();
  }
  const T* Find(size_t number) const { return const_cast<Kept*>(this)->Find(number); }
  T& emplace_back() { return *things_.emplace_back(std::make_unique<T>()); }
  void LetGo(size_t number) { things_[number - 1].reset(); }
  void AppendGone() { things_.emplace_back(); }

  // Over those that are there, in the order of their numbers.
  class Iterator {
   public:
    using Place = typename std::vector<std::unique_ptr<T>>::const_iterator;
    Iterator(Place at, Place end) : at_(at), end_(end) { Settle(); }
    const T& operator*() const { return **at_; }
    const T* operator->() const { return at_->get(); }
    Iterator& operator++() {
      ++at_;
      Settle();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    void Settle() {
      while (at_ != end_ && *at_ == nullptr) ++at_;
    }
    Place at_, end_;
  };
  Iterator begin() const { return {things_.begin(), things_.end()}; }
  Iterator end() const { return {things_.end(), things_.end()}; }

 private:
  std::vector<std::unique_ptr<T>> things_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_KEPT_H_
