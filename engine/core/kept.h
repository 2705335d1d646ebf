// Kept: things numbered from 1, of which ended ones may have been let go to save memory.
//
// Threads: plain values. Errors: reading one that was let go is a programming error; Find says
// whether it is there.
#ifndef KEV_ENGINE_CORE_KEPT_H_
#define KEV_ENGINE_CORE_KEPT_H_

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

namespace kev {

// In pages, so that nothing is left of a page whose things are all gone but a pointer.
template <typename T>
class Kept {
 public:
  // Numbered so far, let go or not.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // By position: number - 1.
  T& operator[](size_t i) { return *pages_[i / kPage]->things[i % kPage]; }
  const T& operator[](size_t i) const { return *pages_[i / kPage]->things[i % kPage]; }
  const T& at(size_t i) const {
    const T* thing = Find(i + 1);
    if (thing == nullptr) throw std::out_of_range("kev::Kept::at");
    return *thing;
  }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }
  // By number; null when there is none, or when it was let go.
  T* Find(size_t number) {
    if (number == 0 || number > size_) return nullptr;
    const auto& page = pages_[(number - 1) / kPage];
    return page == nullptr ? nullptr : page->things[(number - 1) % kPage].get();
  }
  const T* Find(size_t number) const { return const_cast<Kept*>(this)->Find(number); }
  T& emplace_back() {
    if (size_ % kPage == 0) pages_.emplace_back();
    auto& page = pages_.back();
    if (page == nullptr) page = std::make_unique<Page>();
    ++page->there;
    return *(page->things[size_++ % kPage] = std::make_unique<T>());
  }
  void LetGo(size_t number) {
    auto& page = pages_[(number - 1) / kPage];
    page->things[(number - 1) % kPage].reset();
    --page->there;
    DropIfEmpty((number - 1) / kPage);
  }
  // One that is gone from the start.
  void AppendGone() {
    if (size_ % kPage == 0) pages_.emplace_back();
    ++size_;
    DropIfEmpty((size_ - 1) / kPage);
  }

  // Over those that are there, in the order of their numbers.
  class Iterator {
   public:
    Iterator(const Kept* kept, size_t at) : kept_(kept), at_(at) { Settle(); }
    const T& operator*() const { return (*kept_)[at_]; }
    const T* operator->() const { return &(*kept_)[at_]; }
    Iterator& operator++() {
      ++at_;
      Settle();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    void Settle() {
      while (at_ < kept_->size_) {
        const auto& page = kept_->pages_[at_ / kPage];
        if (page == nullptr)
          at_ = (at_ / kPage + 1) * kPage;
        else if (page->things[at_ % kPage] == nullptr)
          ++at_;
        else
          return;
      }
      at_ = kept_->size_;
    }
    const Kept* kept_;
    size_t at_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size_}; }

 private:
  static constexpr size_t kPage = 64;
  struct Page {
    std::array<std::unique_ptr<T>, kPage> things;
    size_t there = 0;
  };
  // A page that is not full may still get things.
  void DropIfEmpty(size_t page) {
    if (pages_[page] != nullptr && pages_[page]->there == 0 && (page + 1) * kPage <= size_)
      pages_[page].reset();
  }

  std::vector<std::unique_ptr<Page>> pages_;
  size_t size_ = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_KEPT_H_
