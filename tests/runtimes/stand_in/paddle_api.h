// A stand-in for the header of this name in Paddle Lite's archives: the interface that the runner
// uses, by the same names, without the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "paddle_place.h"

#define LITE_API __attribute__((visibility("default")))

namespace paddle {
namespace lite_api {

using shape_t = std::vector<int64_t>;

struct LITE_API Tensor {
  explicit Tensor(void* raw);
  explicit Tensor(const void* raw);
  void Resize(const shape_t& shape);
  template <typename T>
  const T* data() const;
  template <typename T>
  T* mutable_data(TargetType type = TargetType::kHost) const;
  shape_t shape() const;

 private:
  void* raw_tensor_;
};

class LITE_API PaddlePredictor {
 public:
  virtual std::unique_ptr<Tensor> GetInput(int i) = 0;
  virtual std::unique_ptr<const Tensor> GetOutput(int i) const = 0;
  virtual void Run() = 0;
  virtual std::string GetVersion() const = 0;
  virtual ~PaddlePredictor() = default;
};

class LITE_API ConfigBase {
 public:
  void set_threads(int threads);
  int threads() const { return threads_; }

 private:
  int threads_{1};
};

class LITE_API MobileConfig : public ConfigBase {
 public:
  void set_model_from_file(const std::string& path);
  const std::string& lite_model_file() const { return lite_model_file_; }

 private:
  std::string lite_model_file_;
};

template <typename ConfigT>
LITE_API std::shared_ptr<PaddlePredictor> CreatePaddlePredictor(const ConfigT&);

}  // namespace lite_api
}  // namespace paddle
