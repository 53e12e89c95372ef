#include "kept_threads.hpp"

#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace dvmsr {

namespace {

class KeptThreads {
 public:
  explicit KeptThreads(int count) {
    threads_.reserve(static_cast<std::size_t>(count));
    try {
      for (int i = 1; i <= count; ++i) threads_.emplace_back(&KeptThreads::wait_and_work, this, i);
    } catch (const std::system_error&) {
    }
  }

  ~KeptThreads() {
    set([this] { ended_ = true; });
    for (std::thread& thread : threads_) thread.join();
  }

  KeptThreads(const KeptThreads&) = delete;
  KeptThreads& operator=(const KeptThreads&) = delete;

  bool alive() const { return process_ == getpid(); }

  bool run(int count, const std::function<void(int)>& work) {
    if (count > static_cast<int>(threads_.size()) + 1) return false;
    const std::unique_lock<std::mutex> alone(in_use_, std::try_to_lock);
    if (!alone) return false;
    set([&] {
      work_ = &work;
      count_ = count;
      working_ = count - 1;
      ++calls_;
    });
    work(0);
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [this] { return working_ == 0; });
    return true;
  }

 private:
  template <typename Change>
  void set(const Change& change) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  void wait_and_work(int number) {
    long seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return ended_ || calls_ != seen; });
      if (ended_) return;
      seen = calls_;
      if (number >= count_) continue;
      const std::function<void(int)>& work = *work_;
      lock.unlock();
      work(number);
      lock.lock();
      if (--working_ == 0) finished_.notify_one();
    }
  }

  const pid_t process_ = getpid();
  std::mutex in_use_;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_, finished_;
  const std::function<void(int)>* work_ = nullptr;
  int count_ = 0, working_ = 0;
  long calls_ = 0;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

// Never destroyed: a process may end while threads wait.
std::shared_ptr<KeptThreads>& kept() {
  static auto* threads = new std::shared_ptr<KeptThreads>;
  return *threads;
}

// Of a parent process: its threads are not here, and its locks may be as they were in the midst of a call.
void forget(std::shared_ptr<KeptThreads> threads) { new std::shared_ptr<KeptThreads>(std::move(threads)); }

}  // namespace

void keep_threads(int count) {
  auto next = count > 0 ? std::make_shared<KeptThreads>(count) : nullptr;
  auto before = std::atomic_exchange(&kept(), next);
  if (before && !before->alive()) forget(std::move(before));
}

bool run_in_kept_threads(int count, const std::function<void(int)>& work) {
  const std::shared_ptr<KeptThreads> threads = std::atomic_load(&kept());
  return threads && threads->alive() && threads->run(count, work);
}

}  // namespace dvmsr
